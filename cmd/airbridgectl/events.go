package main

import (
	"flag"
	"fmt"
	"time"

	"airbridged/client"
)

var eventsCommand = command{
	name:    "events",
	summary: "show state changes and warnings as they come",
	help: `Prints the present state, and then every change of it and every warning, one a
line.

flags:
  -f   follow (always so)

examples:
  airbridgectl events
  airbridgectl events --json | jq -c 'select(.type == "warning")'
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		fs.Bool("f", true, "")
		return showEvents
	},
}

func showEvents(e *env, args []string) error {
	if len(args) > 0 {
		return usageError{"events takes no arguments"}
	}
	stream, err := e.client.Events(e.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	for {
		event, err := stream.Next()
		if err != nil {
			return err
		}
		if e.json {
			_, err = fmt.Fprintf(e.stdout, "%s\n", stream.Line())
		} else {
			_, err = fmt.Fprintln(e.stdout, eventText(event))
		}
		if err != nil {
			return err
		}
	}
}

// eventText is one line for a person.
func eventText(v client.Event) string {
	at := v.At.Local().Format(time.RFC3339)
	if v.Type == "warning" {
		return fmt.Sprintf("%s warning %s: %s", at, orUnknown(v.Code), printable(v.Detail))
	}
	s := at + " " + orUnknown(v.To)
	if v.From != "" {
		s = at + " " + printable(v.From) + " -> " + orUnknown(v.To)
	}
	if v.Cause != "" {
		s += ", cause " + printable(v.Cause)
	}
	if v.Attempt > 0 {
		s += fmt.Sprintf(", attempt %d", v.Attempt)
	}
	if v.WaitSeconds > 0 {
		s += fmt.Sprintf(", next try in %s", span(time.Duration(v.WaitSeconds*float64(time.Second))))
	}
	return s
}
