package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"airbridged/client"
)

var rrpcCommand = command{
	name:    "rrpc",
	args:    "[ARGUMENT...]",
	summary: "answer calls of the cloud by hand or by a command",
	help: `Prints the calls that the cloud makes and waits for, and answers each with a
line of standard input. The cloud's caller waits 8 s at most: who answers later
is told so. These are the calls on the device's own topic
/sys/PRODUCT_KEY/DEVICE_NAME/rrpc/request/+.

flags:
  --exec COMMAND   answer with what this program prints instead. It gets the
                   call on standard input, and the arguments that follow; put --
                   before one that begins with a dash. There is no shell. It is
                   ended when nobody waits any more, and where it fails there is
                   no answer
  -n COUNT         end after so many calls

examples:
  airbridgectl rrpc
  airbridgectl rrpc --exec cat
  airbridgectl rrpc --exec /usr/local/bin/answer-call valve 1
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		run := fs.String("exec", "", "")
		count := fs.Int("n", 0, "")
		return func(e *env, args []string) error {
			var program []string
			switch {
			case *count < 0:
				return usageError{"-n takes a number from 1 on"}
			case *run != "":
				program = append([]string{*run}, args...)
			case len(args) > 0:
				return usageError{"rrpc takes arguments only with --exec: they are the command's"}
			}
			return answerCalls(e, program, *count)
		}
	},
}

// answerCalls answers count calls; 0 is no end.
func answerCalls(e *env, program []string, count int) error {
	own, err := ownCalls(e)
	if err != nil {
		return err
	}
	stream, err := e.client.Subscribe(e.ctx, own)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	lines := bufio.NewReader(e.stdin)
	for seen := 0; count == 0 || seen < count; {
		it, err := stream.Next()
		switch {
		case err != nil:
			return err
		case it.Call == nil:
			if err := printItem(e, it); err != nil {
				return err
			}
			continue
		}
		seen++
		if err := e.call(it.Call, program, lines); err != nil {
			return err
		}
	}
	return nil
}

// ownCalls is the filter of the device's own calls.
func ownCalls(e *env) (string, error) {
	ctx, cancel := context.WithTimeout(e.ctx, askTime)
	defer cancel()
	st, err := e.client.Status(ctx)
	if err != nil {
		return "", err
	}
	if st.Identity.ProductKey == "" || st.Identity.DeviceName == nil {
		return "", usageError{"the device is not known yet: try again when the module was identified"}
	}
	return "/sys/" + st.Identity.ProductKey + "/" + *st.Identity.DeviceName + "/rrpc/request/+", nil
}

// call prints a call and answers it.
func (e *env) call(c *client.Call, program []string, lines *bufio.Reader) error {
	if _, err := fmt.Fprintf(e.stdout, "%s %s\n", printable(c.ID), payloadText(c.Payload)); err != nil {
		return err
	}
	var answer []byte
	if len(program) > 0 {
		ctx, cancel := context.WithDeadline(e.ctx, c.Until)
		defer cancel()
		cmd := exec.CommandContext(ctx, program[0], program[1:]...)
		cmd.Stdin, cmd.Stderr, cmd.WaitDelay = bytes.NewReader(c.Payload), e.stderr, time.Second
		out, err := cmd.Output()
		if err != nil {
			e.note("call %s is not answered: %s: %v", c.ID, program[0], err)
			return nil
		}
		answer = out
	} else {
		line, err := lines.ReadString('\n')
		if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
			return fmt.Errorf("standard input: %w", err)
		}
		answer = []byte(strings.TrimSuffix(line, "\n"))
	}
	ctx, cancel := context.WithTimeout(e.ctx, askTime)
	defer cancel()
	err := e.client.Answer(ctx, c.ID, answer)
	if p, ok := errors.AsType[*client.Problem](err); ok {
		e.note("call %s: %s", c.ID, p.Detail)
		return nil
	}
	return err
}
