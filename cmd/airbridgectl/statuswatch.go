package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"airbridged/client"
)

// statusAnswer is what asking for the status gave.
type statusAnswer struct {
	raw    json.RawMessage
	status client.Status // with err: the last that was known
	err    error         // why the daemon did not answer
	since  time.Time     // with err: when it was seen first
}

// watchStatus shows the status as it changes. The daemon must be there at the
// beginning, or a wrong socket would look like a daemon that starts slowly;
// afterwards it may come and go.
func watchStatus(e *env) error {
	l, err := askOnce(e.ctx, e.client)
	if err != nil {
		return err
	}
	size := terminalSize(e.stdout.w)
	if size == nil || e.json {
		return followStatus(e, l, nil, nil, changedLines(e))
	}
	page := &screen{out: e.stdout, size: size}
	defer page.end()
	keys, restore := keyboard(e.stdin)
	defer restore()
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGWINCH, syscall.SIGCONT)
	defer signal.Stop(again)
	footer := fmt.Sprintf("%-*sCtrl-C ends this", nameWidth, "")
	if keys != nil {
		footer = fmt.Sprintf("%-*sq ends this", nameWidth, "")
	}
	return followStatus(e, l, keys, again, func(l statusAnswer, anew bool) error {
		if anew {
			page.forget()
		}
		columns, rows := size()
		lines := append(e.livePage(l, columns-1), "")
		return page.draw(append(lines[:min(len(lines), max(rows-1, 0))], footer))
	})
}

// followStatus shows looks until q is pressed: at every event of the daemon, and
// every sampleTime for what has no event. again asks for a whole new picture.
func followStatus(e *env, l statusAnswer, keys <-chan byte, again <-chan os.Signal, show func(l statusAnswer, anew bool) error) error {
	ctx, stop := context.WithCancel(e.ctx)
	var poker sync.WaitGroup
	defer poker.Wait()
	defer stop()
	changed := make(chan struct{}, 1)
	poker.Go(func() { pokeOnEvents(ctx, e.client, changed) })
	tick := time.NewTicker(sampleTime)
	defer tick.Stop()
	for anew := false; ; {
		if err := show(l, anew); err != nil {
			return err
		}
		anew = false
		select {
		case <-changed:
		case <-tick.C:
		case <-again:
			anew = true
		case key := <-keys:
			if key == 'q' || key == 'Q' {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		if l = l.next(ctx, e.client); ctx.Err() != nil {
			return ctx.Err() // it was not the daemon that did not answer
		}
	}
}

func askOnce(ctx context.Context, c *client.Client) (statusAnswer, error) {
	raw, s, err := askStatus(ctx, c)
	return statusAnswer{raw: raw, status: s}, err
}

// next asks again, and keeps what was known where nobody answers.
func (l statusAnswer) next(ctx context.Context, c *client.Client) statusAnswer {
	fresh, err := askOnce(ctx, c)
	if err == nil {
		return fresh
	}
	if l.err == nil {
		l.since = time.Now()
	}
	l.err = err
	return l
}

// pokeOnEvents tells of every event until ctx ends; what comes while nobody
// takes the word is one word.
func pokeOnEvents(ctx context.Context, c *client.Client, changed chan<- struct{}) {
	for ctx.Err() == nil {
		stream, err := c.Events(ctx)
		for err == nil {
			_, err = stream.Next()
			select {
			case changed <- struct{}{}:
			default:
			}
		}
		if stream != nil {
			_ = stream.Close()
		}
		select {
		case <-time.After(sampleTime):
		case <-ctx.Done():
		}
	}
}

// livePage is the status page with what only a live view has to say.
func (e *env) livePage(l statusAnswer, width int) []string {
	var page []string
	if l.err != nil {
		words := "airbridged does not answer since " + l.since.Format(time.TimeOnly)
		page = append(page, e.lines(row{"", bad, words, ": " + reason(l.err) + "; what was known last:"}, width)...)
	}
	return append(page, e.statusPage(l.status, time.Now(), width)...)
}

// reason is an error without the name of the daemon, which stands before it.
func reason(err error) string {
	switch {
	case errors.Is(err, client.ErrUnreachable):
		return "nobody listens on its socket"
	case errors.Is(err, context.DeadlineExceeded):
		return "it takes longer than " + span(askTime)
	}
	return printable(err.Error())
}

// changedLines shows a line for each change that a person would want to know,
// with --json the status as it is. The number of messages changes all the time;
// whether there are any does not.
func changedLines(e *env) func(statusAnswer, bool) error {
	last := ""
	return func(l statusAnswer, _ bool) error {
		s := l.status
		signal, _ := signalWords(s.Modem.SignalDBm)
		quality, _, _ := strings.Cut(signal, " ")
		network := networkRow(s.Modem).lead
		key := fmt.Sprint(s.State, s.Cause, s.Attempt, quality, network, s.Outbox.Messages > 0, l.err != nil)
		if key == last {
			return nil
		}
		last = key
		if e.json {
			if l.err != nil {
				return nil // there is no status
			}
			_, err := fmt.Fprintf(e.stdout, "%s\n", l.raw)
			return err
		}
		line := time.Now().Format(time.DateTime) + " "
		if l.err != nil {
			line += e.styled(bad, "no answer") + ": " + reason(l.err)
		} else {
			line += e.styled(stateStyle(s.State), orUnknown(s.State))
			if s.Cause != "" {
				line += ", cause " + printable(s.Cause)
			}
			if s.Attempt > 0 {
				line += ", " + count(s.Attempt, "failure") + " in a row"
			}
			line += "; " + network + ", signal " + signal + "; queue: " + count(s.Outbox.Messages, "message")
		}
		_, err := fmt.Fprintln(e.stdout, line)
		return err
	}
}
