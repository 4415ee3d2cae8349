package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"airbridged/client"
)

var eventsCommand = command{
	name:    "events",
	summary: "show state changes and warnings as they come",
	help: `Prints the present state, and then every change of it and every warning, one a
line, with local time. When the daemon stops, that is exit 69.

flags:
  -f         go on when the daemon stops or is restarted: wait until it is back,
             and say both on stderr
  -n COUNT   end after so many; -n 1 prints the present state and ends

examples:
  airbridgectl events -f
  airbridgectl events -n 1
  airbridgectl events --json | jq -c 'select(.type == "warning")'
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		var follow bool
		var most int
		fs.BoolVar(&follow, "f", false, "")
		fs.IntVar(&most, "n", 0, "")
		return func(e *env, args []string) error {
			switch {
			case len(args) > 0:
				return usageError{"events takes no arguments"}
			case most < 0:
				return usageError{"-n takes a number from 1 on"}
			}
			return showEvents(e, follow, most)
		}
	},
}

// showEvents prints until most events came; 0 is no end. With follow it outlives
// the daemon; nobody there at the beginning is an error all the same.
func showEvents(e *env, follow bool, most int) error {
	p := &eventPrinter{env: e, most: most}
	stream, err := e.client.Events(e.ctx)
	if err != nil {
		return err
	}
	for {
		err := p.print(stream)
		_ = stream.Close()
		if err == nil || !follow || e.ctx.Err() != nil || e.stdout.err != nil {
			return err
		}
		if stream, err = awaitBack(e, err, e.client.Events); err != nil {
			return err
		}
	}
}

// wentAway says why a stream ended, in words that fit behind each other.
func wentAway(err error) string {
	if errors.Is(err, client.ErrStopped) || errors.Is(err, client.ErrStalled) {
		return err.Error()
	}
	return "airbridged went away"
}

// awaitBack opens a stream that ended again, once somebody answers, and says both. The
// daemon is not there, or not yet for this user, while it starts.
func awaitBack[T any](e *env, ended error, open func(context.Context) (*client.Stream[T], error)) (*client.Stream[T], error) {
	e.note("%v; waiting for it to come back", wentAway(ended))
	for {
		select {
		case <-time.After(sampleTime):
		case <-e.ctx.Done():
			return nil, context.Cause(e.ctx)
		}
		if stream, err := open(e.ctx); err == nil {
			e.note("airbridged is back")
			return stream, nil
		}
	}
}

// eventPrinter prints the events of one stream after the other.
type eventPrinter struct {
	*env
	most, seen int
	last       client.Event
}

// print prints a stream to its end, which is an error, or until most events came.
func (p *eventPrinter) print(stream *client.Stream[client.Event]) error {
	for first := true; p.most == 0 || p.seen < p.most; first = false {
		event, err := stream.Next()
		if err != nil {
			return err
		}
		// A stream begins with the present state. After a break of the connection
		// alone, that was printed.
		if first && event == p.last {
			continue
		}
		p.last = event
		p.seen++
		if p.json {
			_, err = fmt.Fprintf(p.stdout, "%s\n", stream.Line())
		} else {
			_, err = fmt.Fprintln(p.stdout, p.eventText(event))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// eventText is one line for a person.
func (e *env) eventText(v client.Event) string {
	at := v.At.Local().Format(time.DateTime) + " "
	if v.Type == "warning" {
		return at + e.styled(minor, "warning "+orUnknown(v.Code)) + ": " + printable(v.Detail)
	}
	s := at
	if v.From != "" {
		s += printable(v.From) + " -> "
	}
	s += e.styled(stateStyle(v.To), orUnknown(v.To))
	if v.Cause != "" {
		s += ", cause " + printable(v.Cause)
	}
	if v.Attempt > 0 && v.To == "recovering" { // beside good news it would sound like bad
		s += ", " + count(v.Attempt, "failure") + " in a row"
	}
	if v.WaitSeconds > 0 {
		s += ", next try in " + span(time.Duration(v.WaitSeconds*float64(time.Second)))
	}
	return s
}
