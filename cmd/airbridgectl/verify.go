package main

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"airbridged/internal/outbox"
)

var outboxVerifyCommand = command{
	name:    "outbox verify",
	args:    "DIR",
	summary: "read a stopped daemon's outbox from disk",
	help: `Reads every record of the outbox in DIR (outbox.dir, usually
/var/lib/airbridged/outbox) and tells how much waits in it and what is damaged.
It asks no daemon and changes nothing. The daemon must be stopped: while one
runs on DIR the exit status is 75. Damage is exit status 1; the daemon starts
all the same, and sets what is damaged aside.

examples:
  airbridgectl outbox verify /var/lib/airbridged/outbox
  airbridgectl outbox verify --json /var/lib/airbridged/outbox | jq .damaged
`,
	setup: func(*flag.FlagSet) func(*env, []string) error {
		return func(e *env, args []string) error {
			if len(args) != 1 {
				return usageError{"outbox verify takes one directory"}
			}
			return verifyOutbox(e, args[0])
		}
	},
}

// errDamaged is how a damaged outbox shows in the exit status.
var errDamaged = errors.New("the outbox is damaged")

// verified is what --json prints.
type verified struct {
	Messages int        `json:"messages"`
	Bytes    int64      `json:"bytes"`
	Segments int        `json:"segments"`
	Damaged  uint64     `json:"damaged"`
	OldestAt *time.Time `json:"oldest_at"`
	Notes    []string   `json:"notes"`
}

func verifyOutbox(e *env, dir string) error {
	v := verified{Notes: []string{}}
	progress := e.ongoing()
	seen := 0
	report, err := outbox.Verify(dir, func(m outbox.Message) error {
		seen++
		progress.tell("%s read", count(seen, "message"))
		if v.OldestAt == nil && !m.AcceptedAt.IsZero() {
			v.OldestAt = &m.AcceptedAt
		}
		return nil
	})
	progress.done()
	if err != nil {
		return err
	}
	v.Messages, v.Bytes, v.Segments, v.Damaged = report.Messages, report.Bytes, report.Segments, report.Damaged
	for _, n := range report.Notes {
		v.Notes = append(v.Notes, n.Text)
	}
	if err := showVerified(e, v); err != nil {
		return err
	}
	if v.Damaged > 0 || len(v.Notes) > 0 {
		return fmt.Errorf("%s: %w", dir, errDamaged)
	}
	return nil
}

func showVerified(e *env, v verified) error {
	if e.json {
		return e.printJSON(v)
	}
	oldest := "none"
	if v.OldestAt != nil {
		oldest = v.OldestAt.Local().Format(time.DateTime)
	}
	_, err := fmt.Fprintf(e.stdout, "waiting    %s, %d bytes\noldest     %s\nfiles      %d\ndamaged    %s\n",
		count(v.Messages, "message"), v.Bytes, oldest, v.Segments, count(int(v.Damaged), "record"))
	for _, n := range v.Notes {
		if err == nil {
			_, err = fmt.Fprintf(e.stdout, "note       %s\n", n)
		}
	}
	return err
}
