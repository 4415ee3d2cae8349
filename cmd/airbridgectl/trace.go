package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"

	"airbridged/client"
)

var traceCommand = command{
	name:    "trace",
	args:    "[FILE]",
	summary: "show the last AT traffic with the module",
	help: `Shows what the daemon's flight recorder holds: the last commands (>) and what
the module said (<), with changes of state between (-). The first column is the
time of day, the second the time since the line before. Secrets, topics and
payloads are not recorded: [n bytes] stands for them.

With FILE it shows a dump, or - for one on standard input. The daemon writes
dumps to traces/ in its state directory (state.dir) before it resets the data
bearer, the radio, the module or the port.

flags:
  -f   go on with what comes

examples:
  airbridgectl trace
  airbridgectl trace -f
  airbridgectl trace --json | jq -r 'select(.dir == "tx") | .text'
  airbridgectl trace /var/lib/airbridged/traces/000001-reset-no-answer.ndjson
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		var follow bool
		fs.BoolVar(&follow, "f", false, "")
		return func(e *env, args []string) error {
			switch {
			case len(args) > 1:
				return usageError{"trace takes one file"}
			case len(args) == 1 && follow:
				return usageError{"a file has an end, so -f does not go with it"}
			case len(args) == 1:
				return showDump(e, args[0])
			case follow:
				return followTrace(e)
			}
			ctx, cancel := context.WithTimeout(e.ctx, askTime)
			defer cancel()
			list, err := e.client.Trace(ctx)
			if err != nil {
				return err
			}
			return printTrace(e, list)
		}
	},
}

func showDump(e *env, name string) error {
	var in io.Reader = e.stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	list, err := client.ReadTrace(in)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return printTrace(e, list)
}

func followTrace(e *env) error {
	stream, err := e.client.FollowTrace(e.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	var last *client.Traffic
	for {
		t, err := stream.Next()
		if err != nil {
			return err
		}
		if e.json {
			_, err = fmt.Fprintf(e.stdout, "%s\n", stream.Line())
		} else {
			last, err = writeTraffic(e.stdout, t, last)
		}
		if err != nil {
			return err
		}
	}
}

func printTrace(e *env, list []client.Traffic) error {
	out := bufio.NewWriter(e.stdout)
	var last *client.Traffic
	for _, t := range list {
		var err error
		if e.json {
			err = (&env{stdout: &output{w: out}}).printJSON(t)
		} else {
			last, err = writeTraffic(out, t, last)
		}
		if err != nil {
			return err
		}
	}
	if len(list) == 0 {
		e.note("there was no traffic yet")
	}
	return out.Flush()
}

// traceMarks stand before the text.
var traceMarks = map[string]string{"tx": ">", "rx": "<", "note": "-"}

// writeTraffic writes one line for a person and returns what the next one's time
// counts from.
func writeTraffic(out io.Writer, t client.Traffic, last *client.Traffic) (*client.Traffic, error) {
	if t.Gap > 0 {
		_, err := fmt.Fprintf(out, "%12s %9s   %d lines were overwritten before they could be read\n", "", "", t.Gap)
		return nil, err
	}
	since := ""
	if last != nil {
		since = "+" + strconv.FormatFloat(max(t.Elapsed-last.Elapsed, 0), 'f', 3, 64)
	}
	mark := traceMarks[t.Dir]
	if mark == "" {
		mark = "?"
	}
	_, err := fmt.Fprintf(out, "%s %9s %s %s\n", t.At.Local().Format("15:04:05.000"), since, mark, printable(t.Text))
	return &t, err
}
