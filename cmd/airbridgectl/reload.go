package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"airbridged/client"
)

// reloadTime bounds a reload: a few small files are read.
const reloadTime = 30 * time.Second

var reloadCommand = command{
	name:    "reload",
	summary: "have the daemon read its configuration again",
	help: `Waits until the configuration is in effect, and prints which keys changed and
which need a restart. It is all or nothing: with a mistake in the files nothing
is changed, and every mistake is printed as FILE:LINE:COLUMN. Only root and the
daemon's own user may do it. The unit file uses it for "systemctl reload".

exit status: 78 the configuration has mistakes; others as ever

examples:
  airbridgectl reload
  airbridgectl reload --json | jq -r '.needs_restart[]'
`,
	setup: func(*flag.FlagSet) func(*env, []string) error { return reload },
}

func reload(e *env, args []string) error {
	if len(args) > 0 {
		return usageError{"reload takes no arguments"}
	}
	ctx, cancel := context.WithTimeout(e.ctx, reloadTime)
	defer cancel()
	r, err := e.client.Reload(ctx)
	if p, ok := errors.AsType[*client.Problem](err); ok && p.Is(client.ErrConfiguration) {
		for _, m := range p.Mistakes {
			fmt.Fprintln(e.stderr, printable(m.String()))
		}
		e.note("%s", p.Hint)
		return told{err}
	}
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(r)
	}
	for _, w := range r.Warnings {
		e.note("warning: %s", printable(w))
	}
	for _, row := range []struct {
		what string
		keys []string
	}{{"in effect now", r.Changed}, {"after a restart", r.NeedsRestart}} {
		if len(row.keys) > 0 {
			fmt.Fprintf(e.stdout, "%s: %s\n", row.what, strings.Join(row.keys, ", "))
		}
	}
	if len(r.Changed)+len(r.NeedsRestart) == 0 {
		fmt.Fprintln(e.stdout, "nothing changed")
	}
	return nil
}
