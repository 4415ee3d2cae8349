package main

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"airbridged/client"
)

var subCommand = command{
	name:    "sub",
	args:    "FILTER...",
	summary: "show messages from the cloud as they come",
	help: `Prints a line for every message whose topic matches one of the filters: the
topic, a blank, the payload. In a filter + stands for one level and # for all
that follow. A payload of several lines or with control characters is shown
quoted, one that is no text as base64: and its bytes; --json is exact. When the
daemon is stopped or restarted, sub waits until it is back, and says both on
stderr; what the cloud sends meanwhile is missed.

flags:
  -n COUNT      end after so many messages
  --name NAME   miss nothing: messages are kept under this name, on the
                gateway's disk, until they were printed; so are the filters

as mosquitto_sub has them:
  -t FILTER  in place of the arguments, and again for more; prints the payload
             alone
  -v         topic and payload
  -C COUNT   -n

examples:
  airbridgectl sub /a1b2c3/gw-1/get
  airbridgectl sub '/sys/a1b2c3/gw-1/#' -n 1
  airbridgectl sub --json /a1b2c3/gw-1/get | jq -r .payload
  airbridgectl sub --name pump /a1b2c3/gw-1/get
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		var count int
		var verbose bool
		var more []string
		fs.IntVar(&count, "n", 0, "")
		fs.IntVar(&count, "C", 0, "")
		fs.BoolVar(&verbose, "v", false, "")
		name := fs.String("name", "", "")
		fs.Func("t", "", func(s string) error { more = append(more, s); return nil })
		return func(e *env, filters []string) error {
			bare := len(more) > 0 && !verbose
			switch filters = append(filters, more...); {
			case len(filters) == 0 && *name == "":
				return usageError{"sub takes at least one topic filter"}
			case count < 0:
				return usageError{"-n takes a number from 1 on"}
			}
			return follow(e, *name, filters, count, bare)
		}
	},
}

// follow prints until count messages came; 0 is no end. It outlives the daemon; nobody there
// at the beginning is an error all the same. bare: without the topic. With a name, what was
// printed is acknowledged.
func follow(e *env, name string, filters []string, count int, bare bool) error {
	subscribe := func(ctx context.Context) (*client.Stream[client.Item], error) {
		if name != "" {
			return e.client.SubscribeAs(ctx, name, filters...)
		}
		return e.client.Subscribe(ctx, filters...)
	}
	stream, err := subscribe(e.ctx)
	if err != nil {
		return err
	}
	p := &itemPrinter{env: e, name: name, left: count, bare: bare}
	for {
		err := p.print(stream)
		_ = stream.Close()
		if err == nil || e.ctx.Err() != nil || p.broken != nil || errors.Is(err, client.ErrTakenOver) || errors.Is(err, client.ErrDropped) || errors.Is(err, client.ErrDenied) {
			return err
		}
		if stream, err = awaitBack(e, err, subscribe); err != nil {
			return err
		}
	}
}

// itemPrinter prints the messages of one stream after the other.
type itemPrinter struct {
	*env
	name   string // of what is kept, and acknowledged when it was printed; "": none
	left   int    // messages to come; 0: no end
	bare   bool
	broken error // of writing
}

// print prints a stream to its end, which is an error, or until the last message came.
func (p *itemPrinter) print(stream *client.Stream[client.Item]) error {
	for {
		it, err := stream.Next()
		if err != nil {
			return err
		}
		switch {
		case p.json:
			_, p.broken = fmt.Fprintf(p.stdout, "%s\n", stream.Line())
		case p.bare && it.Message != nil:
			_, p.broken = fmt.Fprintf(p.stdout, "%s\n", payloadText(it.Message.Payload))
		default:
			p.broken = printItem(p.env, it)
		}
		if p.broken != nil {
			return p.broken
		}
		if p.stdout.err == nil && it.Message != nil && it.Message.ID != "" {
			if _, err := p.client.Acknowledge(p.ctx, p.name, it.Message); err != nil {
				return err
			}
		}
		if it.Message != nil && p.left > 0 {
			if p.left--; p.left == 0 {
				return nil
			}
		}
	}
}

func printItem(e *env, it client.Item) error {
	switch {
	case it.Message != nil:
		_, err := fmt.Fprintf(e.stdout, "%s %s\n", printable(it.Message.Topic), payloadText(it.Message.Payload))
		return err
	case it.Gap > 0:
		e.note("%d messages were missed here: this reader was too slow", it.Gap)
	case it.Granted != "":
		e.note("%s: acknowledged by the cloud", printable(it.Granted))
	case it.Refused != nil:
		e.note("%s: refused, tried again in an hour: %s", printable(it.Refused.Topic), printable(it.Refused.Reason))
	}
	for _, g := range it.Subscribed {
		if !g.Granted {
			e.note("%s: waiting for the cloud to acknowledge", printable(g.Topic))
		}
	}
	return nil
}

// payloadText shows a payload on one line.
func payloadText(p []byte) string {
	if !utf8.Valid(p) {
		return "base64:" + base64.StdEncoding.EncodeToString(p)
	}
	s := string(p)
	if strings.ContainsFunc(s, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
