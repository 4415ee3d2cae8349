package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"airbridged/client/api"
)

var reconnectCommand = command{
	name:    "reconnect",
	summary: "have the daemon make its next attempt now",
	help: `For whoever has just put in the SIM, screwed on the antenna or corrected
something in the cloud's console: the daemon tries at once, instead of waiting
for its back-off. The cloud's limits hold all the same, and more than 5 times a
minute is refused (exit 75). While it is online nothing is done.

examples:
  airbridgectl reconnect
  airbridgectl reconnect && airbridgectl status --watch
`,
	setup: func(*flag.FlagSet) func(*env, []string) error { return reconnect },
}

func reconnect(e *env, args []string) error {
	if len(args) > 0 {
		return usageError{"reconnect takes no arguments"}
	}
	ctx, cancel := context.WithTimeout(e.ctx, askTime)
	defer cancel()
	next, err := e.client.Reconnect(ctx)
	if err != nil {
		return err
	}
	if e.json {
		answer := api.Reconnecting{NextAttemptAt: &next}
		if next.IsZero() {
			answer.NextAttemptAt = nil
		}
		return e.printJSON(answer)
	}
	text := "tries now"
	switch wait := time.Until(next); {
	case next.IsZero():
		text = "is online"
	case wait > 2*time.Second:
		text = "tries in " + span(wait) + ", when the cloud's limit on logins allows it"
	}
	_, err = fmt.Fprintln(e.stdout, text)
	return err
}
