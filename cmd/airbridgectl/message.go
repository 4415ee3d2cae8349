package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"airbridged/client"
)

var messageCommand = command{
	name:    "message",
	args:    "ID",
	summary: "what became of a message",
	help: `Prints where a message stands, by the id that pub printed. queued, inflight,
foreign and held are on their way; acked and sent are done; expired, dropped and
rejected come to exit 1, with the reason. The last 10,000 ends are remembered,
until the daemon restarts.

examples:
  airbridgectl message 000000000000002a
  id=$(airbridgectl pub /a1b2c3/gw-1/update hello | cut -d ' ' -f 1)
  airbridgectl message "$id" --json | jq -r .state
`,
	setup: func(*flag.FlagSet) func(*env, []string) error { return showMessage },
}

func showMessage(e *env, args []string) error {
	if len(args) != 1 {
		return usageError{"message takes one id, as pub prints it"}
	}
	ctx, cancel := context.WithTimeout(e.ctx, askTime)
	defer cancel()
	m, err := e.client.Message(ctx, args[0])
	if err != nil {
		return err
	}
	if e.json {
		err = e.printJSON(m)
	} else {
		err = e.printMessage(m, time.Now())
	}
	switch {
	case err != nil:
		return err
	case m.State == client.Expired, m.State == client.Dropped, m.State == client.Rejected:
		return told{fmt.Errorf("%s", m.State)}
	}
	return nil
}

// stateMeans says in words what a message's state is.
var stateMeans = map[client.State]string{
	client.Queued:   "kept, waits for its turn",
	client.InFlight: "sent, not acknowledged yet",
	client.Foreign:  "kept, but accepted for another device: see outbox retarget",
	client.Acked:    "the cloud has it",
	client.Expired:  "its time to live passed before the cloud acknowledged it",
	client.Dropped:  "given up",
	client.Rejected: "the module cannot carry it",
	client.Held:     "waits in memory",
	client.Sent:     "handed to the module; nothing acknowledges QoS 0",
}

func (e *env) printMessage(m client.Message, now time.Time) error {
	state := row{name: "state", lead: orUnknown(string(m.State))}
	if words := stateMeans[m.State]; words != "" {
		state.rest = ": " + words
	}
	rows := []row{state}
	if m.Reason != "" {
		rows = append(rows, row{name: "reason", rest: printable(m.Reason)})
	}
	rows = append(rows, row{name: "topic", rest: printable(m.Topic)}, row{name: "QoS", rest: fmt.Sprint(m.QoS)}, row{name: "accepted", rest: ago(m.AcceptedAt, now)})
	if m.ExpiresAt != nil {
		rows = append(rows, row{name: "expires", rest: ago(m.ExpiresAt, now)})
	}
	rows = append(rows, row{name: "sent", rest: count(m.Attempts, "time")})
	for _, r := range rows {
		for _, line := range e.lines(r, e.width()) {
			if _, err := fmt.Fprintln(e.stdout, line); err != nil {
				return err
			}
		}
	}
	if m.Warning == client.TopicForeign {
		warnForeign(e.ctx, e, m.Topic)
	}
	return nil
}
