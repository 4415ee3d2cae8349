package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"airbridged/client"
)

// habit is what pub takes besides, in the way of mosquitto_pub.
type habit struct {
	flags                *flag.FlagSet
	topic, message, file string
	lines, retain        bool
}

// given says whether a flag was written.
func given(flags *flag.FlagSet, name string) (was bool) {
	flags.Visit(func(f *flag.Flag) { was = was || f.Name == name })
	return was
}

// topicOf returns the topic and what is left of the arguments.
func (h *habit) topicOf(args []string) (topic string, rest []string, err error) {
	if given(h.flags, "t") {
		if len(args) > 0 {
			return "", nil, usageError{"with -t the payload goes behind -m, -f or -l; quote a payload with blanks"}
		}
		topic = h.topic
	} else {
		if len(args) == 0 {
			return "", nil, usageError{"pub takes a topic and a payload; quote a payload with blanks"}
		}
		topic, args = args[0], args[1:]
	}
	sources := len(args)
	for _, name := range []string{"m", "f", "l"} {
		if given(h.flags, name) {
			sources++
		}
	}
	switch {
	case len(args) > 1:
		return "", nil, usageError{"pub takes a topic and a payload; quote a payload with blanks"}
	case sources > 1:
		return "", nil, usageError{"there is more than one payload: give one argument, or one of -m, -f and -l"}
	case h.lines && given(h.flags, "key"):
		return "", nil, usageError{"--key is of one message, and -l sends many"}
	}
	return topic, args, nil
}

// payloadOf is the payload by whichever way it was given.
func (h *habit) payloadOf(stdin io.Reader, args []string) ([]byte, error) {
	switch {
	case given(h.flags, "m"):
		return []byte(h.message), nil
	case !given(h.flags, "f"):
		return payloadOf(stdin, args)
	}
	f, err := os.Open(h.file)
	if err != nil {
		return nil, usageError{err.Error()}
	}
	defer f.Close()
	payload, err := io.ReadAll(io.LimitReader(f, maxStdin))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.file, err)
	}
	return payload, nil
}

// publishLines publishes standard input line by line. It stops at the first one
// that is not kept, so that what is behind it can be sent again.
func publishLines(e *env, topic string, o client.PublishOptions) error {
	lines := bufio.NewScanner(e.stdin)
	lines.Buffer(nil, maxStdin)
	n := 0
	var late error // the last one that is kept and not acknowledged
	for lines.Scan() {
		if n++; len(lines.Bytes()) == 0 {
			continue
		}
		err := publish(e, topic, lines.Bytes(), o)
		if errors.Is(err, errKept) {
			late, err = err, nil
		}
		if err != nil {
			e.note("stopped at line %d", n)
			return err
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("line %d of standard input is longer than %s", n+1, size(maxStdin))
	case err != nil:
		return fmt.Errorf("standard input: %w", err)
	}
	return late
}
