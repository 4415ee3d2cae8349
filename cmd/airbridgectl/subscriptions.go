package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"strings"
	"time"
)

var subscriptionsCommand = command{
	name:    "subscriptions",
	summary: "show what messages are kept for",
	help: `Lists the subscriptions whose messages are kept on disk until they are
acknowledged: names (sub --name), and sessions of MQTT programs that persist, by
client id. A line each with kind, messages and bytes that wait, age, user, name
and topic filters.

examples:
  airbridgectl subscriptions
  airbridgectl subscriptions --json | jq -r 'select(.waiting > 100) | .name'
`,
	setup: func(*flag.FlagSet) func(*env, []string) error { return listSubscriptions },
	subs:  []command{subscriptionsDropCommand},
}

// subscriptionRow has last what may be long.
const subscriptionRow = "%-4s %8s %9s %7s %-16s %s\n"

func listSubscriptions(e *env, args []string) error {
	if len(args) > 0 {
		return usageError{"subscriptions takes no arguments, or drop"}
	}
	ctx, cancel := context.WithTimeout(e.ctx, askTime)
	defer cancel()
	list, err := e.client.Subscriptions(ctx)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(e.stdout)
	for i, s := range list {
		if e.json {
			if err := writeJSON(out, s); err != nil {
				return err
			}
			continue
		}
		if i == 0 {
			fmt.Fprintf(out, subscriptionRow, "KIND", "WAITING", "BYTES", "AGE", "USER", "NAME AND FILTERS")
		}
		fmt.Fprintf(out, subscriptionRow, printable(s.Kind), fmt.Sprint(s.Waiting), fmt.Sprint(s.Bytes), brief(max(time.Since(s.Since), 0)),
			orUnknown(printable(s.User)), printable(strings.Join(append([]string{s.Name}, s.Filters...), " ")))
	}
	if len(list) == 0 && !e.json {
		e.note("messages are kept for nobody")
	}
	return out.Flush()
}

var subscriptionsDropCommand = command{
	name:    "subscriptions drop",
	args:    "NAME...",
	summary: "drop subscriptions, with what is kept for them",
	help: `Drops subscriptions, with all the messages that are kept for them, and prints
how many messages that were. Nothing is asked before, and there is no way back.
An MQTT program that has its session is disconnected. It is for the user whose
subscription it is, root and the daemon's user.

flags:
  --kind KIND   http or mqtt: only needed where a name and a client id are the
                same

examples:
  airbridgectl subscriptions drop pump
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		kind := fs.String("kind", "", "")
		return func(e *env, names []string) error {
			if len(names) == 0 {
				return usageError{"subscriptions drop takes at least one name"}
			}
			n := 0
			for _, name := range names {
				ctx, cancel := context.WithTimeout(e.ctx, keepTime)
				one, err := e.client.DropSubscription(ctx, *kind, name)
				cancel()
				if err != nil {
					return err
				}
				n += one
			}
			return printDropped(e, n)
		}
	},
}
