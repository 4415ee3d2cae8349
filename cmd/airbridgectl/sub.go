package main

import (
	"encoding/base64"
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
quoted, one that is no text as base64: and its bytes; --json is exact.

flags:
  -n COUNT   end after so many messages

as mosquitto_sub has them:
  -t FILTER  in place of the arguments, and again for more; prints the payload
             alone
  -v         topic and payload
  -C COUNT   -n

examples:
  airbridgectl sub /a1b2c3/gw-1/get
  airbridgectl sub '/sys/a1b2c3/gw-1/#' -n 1
  airbridgectl sub --json /a1b2c3/gw-1/get | jq -r .payload
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		var count int
		var verbose bool
		var more []string
		fs.IntVar(&count, "n", 0, "")
		fs.IntVar(&count, "C", 0, "")
		fs.BoolVar(&verbose, "v", false, "")
		fs.Func("t", "", func(s string) error { more = append(more, s); return nil })
		return func(e *env, filters []string) error {
			bare := len(more) > 0 && !verbose
			switch filters = append(filters, more...); {
			case len(filters) == 0:
				return usageError{"sub takes at least one topic filter"}
			case count < 0:
				return usageError{"-n takes a number from 1 on"}
			}
			return follow(e, filters, count, bare)
		}
	},
}

// follow prints until count messages came; 0 is no end. bare: without the topic.
func follow(e *env, filters []string, count int, bare bool) error {
	stream, err := e.client.Subscribe(e.ctx, filters...)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	for seen := 0; count == 0 || seen < count; {
		it, err := stream.Next()
		if err != nil {
			return err
		}
		if it.Message != nil {
			seen++
		}
		switch {
		case e.json:
			_, err = fmt.Fprintf(e.stdout, "%s\n", stream.Line())
		case bare && it.Message != nil:
			_, err = fmt.Fprintf(e.stdout, "%s\n", payloadText(it.Message.Payload))
		default:
			err = printItem(e, it)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
