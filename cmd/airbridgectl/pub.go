package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"airbridged/client"
	"airbridged/client/api"
)

// maxStdin is more than the daemon accepts, so that it is the one to say so.
const maxStdin = 1 << 20

var pubCommand = command{
	name:    "pub",
	args:    "TOPIC [PAYLOAD|-]",
	summary: "publish a message",
	help: `Hands a message to the daemon and prints its id and state. Once that is done,
the daemon keeps the message until the cloud has acknowledged it. PAYLOAD is
sent as it is; - sends all of standard input, its line ends included; without
one the message is empty.

flags:
  --qos N          1: kept until acknowledged (default). 0: best effort
  --wait DURATION  wait so long for the message's end, as in 10s; at most 1h.
                   acked and sent are success; expired, dropped and rejected
                   exit 1; a message that still waits exits 3: it is kept, do
                   not send it again
  --ttl DURATION   give the message up when it is older than this, as in 1h
  --priority P     high, normal (default) or low
  --latest         replace the unsent message of the same topic, in its place
  --key K          a repeat with the same key, topic and payload keeps nothing
                   twice, also after a restart of the daemon. Without it pub
                   makes one: where an answer gets lost it repeats by itself,
                   and where nobody knows in the end whether the message is
                   kept (exit 75) it names the key to try again with

as mosquitto_pub has them:
  -t TOPIC         in place of the argument
  -m PAYLOAD       likewise
  -f FILE          what is in a file, as it is
  -l               every line of standard input is a message, but for empty
                   ones. It stops at the first one that is not kept
  -q N             --qos
  -r               retain: does nothing, the cloud has no retained messages

examples:
  airbridgectl pub /a1b2c3/gw-1/update '{"temperature":21.5}'
  airbridgectl pub --wait 10s /a1b2c3/gw-1/update hello
  airbridgectl pub --key "$(uuidgen)" /a1b2c3/gw-1/update 'door closed'
  sensor-read | airbridgectl pub --qos 0 /a1b2c3/gw-1/update -
  airbridgectl pub /a1b2c3/gw-1/update -- -5.5
  sensor-log | airbridgectl pub -t /a1b2c3/gw-1/update -l
`,
	setup: setupPub,
}

func setupPub(flags *flag.FlagSet) func(*env, []string) error {
	var qos, priority string
	var o client.PublishOptions
	flags.StringVar(&qos, "qos", "", "")
	flags.StringVar(&priority, "priority", "", "")
	flags.DurationVar(&o.Wait, "wait", 0, "")
	flags.DurationVar(&o.TTL, "ttl", 0, "")
	flags.BoolVar(&o.Latest, "latest", false, "")
	flags.StringVar(&o.Key, "key", "", "")
	h := habit{flags: flags}
	flags.StringVar(&h.topic, "t", "", "")
	flags.StringVar(&h.message, "m", "", "")
	flags.StringVar(&h.file, "f", "", "")
	flags.BoolVar(&h.lines, "l", false, "")
	flags.StringVar(&qos, "q", "", "")
	flags.BoolVar(&h.retain, "r", false, "")
	return func(e *env, args []string) error {
		topic, args, err := h.topicOf(args)
		if err != nil {
			return err
		}
		if h.retain {
			e.note("-r does nothing: the cloud has no retained messages")
		}
		o.QoS, o.Priority = client.QoS(qos), client.Priority(priority)
		if h.lines {
			return publishLines(e, topic, o)
		}
		payload, err := h.payloadOf(e.stdin, args)
		if err != nil {
			return err
		}
		return publish(e, topic, payload, o)
	}
}

// payloadOf is the argument, standard input for -, or nothing. To pipe into pub
// without - would send an empty message and look like success.
func payloadOf(stdin io.Reader, args []string) ([]byte, error) {
	switch {
	case len(args) == 0 && isPiped(stdin):
		return nil, usageError{"no payload is given, but standard input is a file or a pipe: add - to send it, or '' for an empty message"}
	case len(args) == 0:
		return nil, nil
	case args[0] != "-":
		return []byte(args[0]), nil
	}
	payload, err := io.ReadAll(io.LimitReader(stdin, maxStdin))
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return payload, nil
}

// isPiped says whether somebody put data before the program on purpose.
func isPiped(stdin io.Reader) bool {
	f, ok := stdin.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && (info.Mode().IsRegular() || info.Mode()&fs.ModeNamedPipe != 0)
}

func publish(e *env, topic string, payload []byte, o client.PublishOptions) error {
	if o.Key == "" && o.QoS != client.AtMostOnce {
		o.Key = client.NewKey()
	}
	// The exit status says what became of the message, whether somebody reads the
	// answer or not. A write to a closed pipe would end the process before that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	m, err := deliver(e, topic, payload, o)
	if err != nil {
		return err
	}
	if err := printAccepted(e, m); err != nil {
		e.note("the answer cannot be written (%v): message %s is %s", err, m.ID, m.State)
		e.stdout.err = nil
	}
	if m.Warning == client.TopicForeign {
		warnForeign(e.ctx, e, m.Topic)
	}
	switch {
	case m.State == client.Acked, m.State == client.Sent:
		return nil
	case m.State.Final():
		return badEnd(e, m)
	case o.Wait > 0:
		return errKept
	}
	return nil
}

func printAccepted(e *env, m client.Message) error {
	if e.json {
		return e.printJSON(api.Accepted{ID: m.ID, State: m.State, Warning: m.Warning})
	}
	_, err := fmt.Fprintf(e.stdout, "%s %s\n", m.ID, m.State)
	return err
}

// badEnd tells why a message will not reach the cloud.
func badEnd(e *env, m client.Message) error {
	ctx, cancel := context.WithTimeout(e.ctx, keepTime)
	defer cancel()
	reason := ""
	if full, err := e.client.Message(ctx, m.ID); err == nil {
		reason = full.Reason
	}
	return errors.New(endWords(m.State, reason))
}

// endWords says how a message came to a bad end, and why where that tells more.
func endWords(state client.State, reason string) string {
	words := "the message was " + string(state)
	if state == client.Expired {
		words = "the message expired before the cloud had it, and is not sent any more"
	}
	if reason != "" && reason != string(state) {
		words += ": " + printable(reason)
	}
	return words
}
