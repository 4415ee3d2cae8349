package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"airbridged/client"
	"airbridged/client/api"
)

var accessCommand = command{
	name:    "access",
	summary: "which access rule decides, and how",
	help: `Rules are [[access]] in the configuration; access check tells which one decides.

examples:
  airbridgectl access check publish /a1xyz/gw/update
`,
	setup: func(*flag.FlagSet) func(*env, []string) error {
		return func(_ *env, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Sprintf("access has no command %q; there is check", args[0])}
			}
			return usageError{"access takes a command: check"}
		}
	},
	subs: []command{accessCheckCommand},
}

var accessCheckCommand = command{
	name:    "access check",
	args:    "ACTION TOPIC",
	summary: "whether a program may use a topic, and why",
	help: `Asks the daemon whether a program may publish to a topic, or subscribe to a
filter, and prints the rule that decides with all that it says. ACTION is
publish or subscribe. Without a flag it is about whoever asks. A process may be
in other groups than the system has its user in; at the socket the kernel's
word on the process decides. The exit status is 0 if it is allowed, 1 if not.

flags:
  --user USER       of this user, by name or number
  --client CLIENT   of this name of mqtt.password_file, on TCP

Of others it tells root and the daemon's user alone, where there are rules.

examples:
  airbridgectl access check publish "$(airbridgectl topic update)"
  airbridgectl access check --user telemetry subscribe '/a1xyz/gw/#'
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		var q client.AccessQuery
		fs.StringVar(&q.User, "user", "", "")
		fs.StringVar(&q.Client, "client", "", "")
		return func(e *env, args []string) error {
			switch {
			case len(args) != 2:
				return usageError{"access check takes publish or subscribe, and a topic"}
			case args[0] != "publish" && args[0] != "subscribe":
				return usageError{fmt.Sprintf("access check knows no %q; write publish or subscribe", args[0])}
			case q.User != "" && q.Client != "":
				return usageError{"--user and --client do not go together"}
			}
			q.Action, q.Topic = args[0], args[1]
			return checkAccess(e, q)
		}
	},
}

// errNotAllowed is for the exit status: what there is to say was printed.
var errNotAllowed = errors.New("it is not allowed")

func checkAccess(e *env, q client.AccessQuery) error {
	ctx, cancel := context.WithTimeout(e.ctx, askTime)
	defer cancel()
	a, err := e.client.Access(ctx, q)
	if err != nil {
		return err
	}
	if e.json {
		err = e.printJSON(a)
	} else {
		_, err = fmt.Fprint(e.stdout, accessText(a))
	}
	if err == nil && !a.Allowed {
		err = told{errNotAllowed}
	}
	return err
}

// accessText is the answer for people.
func accessText(a api.Access) string {
	word := "refused"
	if a.Allowed {
		word = "allowed"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s to %s, for %s\n%s\n", word, a.Action, a.Topic, a.Who, a.Why)
	if l := a.Limits; l != nil {
		rate, size, see := "as fast as it likes", "what the module carries", "nothing of others"
		if l.Rate != "" {
			rate = l.Rate
		}
		if l.MaxPayload > 0 {
			size = fmt.Sprintf("%d bytes", l.MaxPayload)
		}
		if len(l.See) > 0 {
			see = strings.Join(l.See, ", ")
		}
		fmt.Fprintf(&b, "  priority  %s at most\n  rate      %s\n  share     %d%% of the outbox\n  payload   %s\n  drop      %s\n  see       %s\n",
			l.Priority, rate, l.Share, size, l.Drop, see)
	}
	return b.String()
}
