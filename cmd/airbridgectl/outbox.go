package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"airbridged/client"
	"airbridged/client/api"
)

var outboxCommand = command{
	name:    "outbox",
	summary: "show what waits to be sent, or how it drains",
	help: `Lists the messages that are not at the cloud yet, in the order of acceptance: a
line each with id, age, bytes of payload, priority, attempts, state and topic.
States are queued, inflight (sent, not acknowledged yet), held (QoS 0) and
foreign (accepted for another device: see outbox retarget). Where messages go
together in one publish ([[batch]]), it says last how many are such readings,
and how many a publish of their own; in --json the former have "reading":true.

flags:
  -n COUNT   show only the first so many
  --watch    show how many are left, how fast they go out and how long it may
             take, until the outbox is empty: on a terminal one line, else a
             line every 5 s. QoS 0 messages count, too. per_second and
             seconds_left of --json are null while they are not known

examples:
  airbridgectl outbox
  airbridgectl outbox --watch
  airbridgectl outbox --json | jq -r 'select(.attempts > 3) | .id'
  airbridgectl outbox --json | gzip > "outbox-$(date +%F).ndjson.gz"
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		var most int
		var watching bool
		fs.IntVar(&most, "n", 0, "")
		fs.BoolVar(&watching, "watch", false, "")
		return func(e *env, args []string) error {
			switch {
			case len(args) > 0:
				return usageError{fmt.Sprintf("outbox has no command %q; there are drop, retarget and verify", args[0])}
			case most < 0:
				return usageError{"-n takes a number from 1 on"}
			case watching && most > 0:
				return usageError{"--watch shows no list, so -n does not go with it"}
			case watching:
				return watchOutbox(e)
			}
			return listOutbox(e, most)
		}
	},
	subs: []command{outboxDropCommand, outboxRetargetCommand, outboxVerifyCommand},
}

// eachPage walks the outbox from its beginning; most is how many messages to
// see at most, 0 all. Every page has askTime to come.
func eachPage(e *env, most int, use func(client.OutboxPage) error) error {
	after := ""
	for seen := 0; ; {
		limit := client.MaxPage
		if most > 0 {
			limit = min(limit, most-seen)
		}
		page, err := askPage(e.ctx, e.client, after, limit)
		if err != nil {
			return err
		}
		if err := use(page); err != nil {
			return err
		}
		seen += len(page.Messages)
		if len(page.Messages) < limit || seen == most {
			return nil
		}
		after = page.Messages[limit-1].ID
	}
}

func askPage(ctx context.Context, c *client.Client, after string, limit int) (client.OutboxPage, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return c.Outbox(ctx, after, limit)
}

func listOutbox(e *env, most int) error {
	out := bufio.NewWriter(e.stdout)
	shown, total := 0, 0
	var sum outboxSum
	err := eachPage(e, most, func(page client.OutboxPage) error {
		if shown == 0 && len(page.Messages) > 0 && !e.json {
			fmt.Fprintf(out, outboxRow, "ID", "AGE", "BYTES", "PRIORITY", "ATTEMPTS", "STATE", "TOPIC")
		}
		shown, total = shown+len(page.Messages), page.Total
		if e.json {
			return writeNDJSON(out, page.Messages)
		}
		now := time.Now()
		for _, m := range page.Messages {
			writeRow(out, m, now)
			sum.add(m)
		}
		return out.Flush()
	})
	switch {
	case err != nil, e.json:
		return err
	case shown == 0:
		e.note("the outbox is empty")
	case most > 0 && total > shown:
		e.note("%d of %s", shown, count(total, "message"))
	}
	if text := sum.text(); text != "" {
		e.note("%s", text)
	}
	return nil
}

// outboxSum tells messages that go together in one publish from those that are one.
type outboxSum struct{ readings, publishes, flying int }

func (s *outboxSum) add(m client.OutboxMessage) {
	switch {
	case !m.Reading:
		s.publishes++
	case m.State == client.InFlight:
		s.flying++
		fallthrough
	default:
		s.readings++
	}
}

// text is empty where each is a publish of its own.
func (s *outboxSum) text() string {
	if s.readings == 0 {
		return ""
	}
	text := count(s.readings, "reading") + ", which go together ([[batch]])"
	if s.flying > 0 {
		text += fmt.Sprintf(", %d of them in the publish in flight", s.flying)
	}
	return text + "; " + count(s.publishes, "message") + " each in a publish of its own"
}

// outboxRow has the topic last: all else has about the same width everywhere.
const outboxRow = "%-24s %7s %6s %-8s %8s %-8s %s\n"

func writeRow(out io.Writer, m client.OutboxMessage, now time.Time) {
	age := "?" // the clock was not right then
	if m.AcceptedAt != nil {
		age = brief(max(now.Sub(*m.AcceptedAt), 0)) // a clock that was set says less than nothing
	}
	fmt.Fprintf(out, outboxRow, printable(m.ID), age, fmt.Sprint(m.Bytes), orUnknown(string(m.Priority)),
		fmt.Sprint(m.Attempts), orUnknown(string(m.State)), printable(m.Topic))
}

// writeNDJSON writes one object a line, with the names of the socket API.
func writeNDJSON(out *bufio.Writer, messages []client.OutboxMessage) error {
	for _, m := range messages {
		if err := writeJSON(out, m); err != nil {
			return err
		}
	}
	return out.Flush()
}

var outboxDropCommand = command{
	name:    "outbox drop",
	args:    "ID...",
	summary: "give up messages that wait",
	help: `Takes messages out of the outbox, so that they are never sent, and prints how
many. Nothing is asked before, and there is no way back. The message in flight
stays, because the cloud may have it already: by its id that is exit 75, and
--topic passes over it. One id that fails does not save the others.

flags:
  --topic FILTER   instead of ids: every message whose topic matches. + stands
                   for one level and # for all that follow; quote the filter
  --foreign        instead of ids: every message that was accepted for another
                   device, before the module was swapped. Only for root

examples:
  airbridgectl outbox drop 00c4mn3u00tl8ag9v1qk3fj0
  airbridgectl outbox drop --topic '/a1b2c3/gw-1/debug/#'
  airbridgectl outbox --json | jq -r 'select(.bytes > 1000) | .id' |
    xargs -r airbridgectl outbox drop
`,
	setup: func(fs *flag.FlagSet) func(*env, []string) error {
		var filter string
		var foreign bool
		fs.StringVar(&filter, "topic", "", "")
		fs.BoolVar(&foreign, "foreign", false, "")
		return func(e *env, ids []string) error {
			switch {
			case filter != "" && len(ids) > 0, foreign && len(ids) > 0, foreign && filter != "":
				return usageError{"outbox drop takes ids, --topic or --foreign, and not both"}
			case foreign:
				return dropForeign(e)
			case filter != "":
				return dropTopic(e, filter)
			case len(ids) == 0:
				return usageError{"outbox drop takes at least one id, or --topic FILTER, or --foreign"}
			}
			for _, id := range ids {
				if id == "" {
					return usageError{"an id is empty; nothing was dropped"}
				}
			}
			return dropIDs(e, ids)
		}
	},
}

func dropForeign(e *env) error {
	ctx, cancel := context.WithTimeout(e.ctx, keepTime)
	defer cancel()
	n, err := e.client.DropForeign(ctx)
	if err != nil {
		return err
	}
	return printDropped(e, n)
}

var outboxRetargetCommand = command{
	name:    "outbox retarget",
	summary: "send another device's messages as this device's",
	help: `After a module was swapped, messages that were accepted for the device before,
and carry its names in their topics, are held back: state foreign. This gives
them the names of the device that is here now, so that they are sent, and prints
how many. Only for root. To give them up instead: outbox drop --foreign.

examples:
  airbridgectl outbox retarget
`,
	setup: func(*flag.FlagSet) func(*env, []string) error {
		return func(e *env, args []string) error {
			if len(args) > 0 {
				return usageError{"outbox retarget takes no arguments"}
			}
			ctx, cancel := context.WithTimeout(e.ctx, keepTime)
			defer cancel()
			n, err := e.client.Retarget(ctx)
			if err != nil {
				return err
			}
			if e.json {
				return e.printJSON(api.Retargets{Retargeted: n})
			}
			_, err = fmt.Fprintf(e.stdout, "%d retargeted\n", n)
			return err
		}
	},
}

func dropTopic(e *env, filter string) error {
	ctx, cancel := context.WithTimeout(e.ctx, keepTime)
	defer cancel()
	n, err := e.client.DropTopic(ctx, filter)
	if err != nil {
		return err
	}
	return printDropped(e, n)
}

// dropIDs drops what it can. A refusal is told at once and decides the exit
// status, the first one of several; any other error ends it.
func dropIDs(e *env, ids []string) error {
	n := 0
	var refused error
	progress := e.ongoing()
	defer progress.done()
	for i, id := range ids {
		progress.tell("%d of %d", i, len(ids))
		err := dropID(e, id)
		if err == nil {
			n++
			continue
		}
		if _, ok := errors.AsType[*client.Problem](err); !ok {
			if n > 0 {
				err = errors.Join(err, printDropped(e, n))
			}
			return err
		}
		progress.done()
		report(e, err)
		if refused == nil {
			refused = told{err}
		}
	}
	progress.done()
	if err := printDropped(e, n); err != nil {
		return err
	}
	return refused
}

func dropID(e *env, id string) error {
	ctx, cancel := context.WithTimeout(e.ctx, keepTime)
	defer cancel()
	return e.client.Drop(ctx, id)
}

func printDropped(e *env, n int) error {
	if e.json {
		return e.printJSON(map[string]int{"dropped": n})
	}
	_, err := fmt.Fprintf(e.stdout, "%d dropped\n", n)
	return err
}
