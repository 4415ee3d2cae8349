package main

import (
	"context"
	"strings"
	"testing"

	"airbridged/client/api"
	"airbridged/internal/ipc"
)

func TestReload(t *testing.T) {
	var done api.Reloaded
	var fail error
	start(t, func(o *ipc.Options) {
		o.Reload = func(context.Context) (api.Reloaded, error) { return done, fail }
	})
	check := func(name string, code int, stdout, stderr string, args ...string) {
		t.Helper()
		gotCode, gotOut, gotErr := ctl(nil, append([]string{"reload"}, args...)...)
		if gotCode != code || gotOut != stdout || gotErr != stderr {
			t.Errorf("%s: %d\n%s%s", name, gotCode, gotOut, gotErr)
		}
	}
	check("nothing", 0, "nothing changed\n", "")

	done = api.Reloaded{Changed: []string{"log.level", "subscribe"}, NeedsRestart: []string{"modem.device"}, Warnings: []string{"a.toml:1:1: access: not yet"}}
	check("all of it", 0, "in effect now: log.level, subscribe\nafter a restart: modem.device\n", "airbridgectl: warning: a.toml:1:1: access: not yet\n")
	check("for programs", 0, `{"changed":["log.level","subscribe"],"needs_restart":["modem.device"],"warnings":["a.toml:1:1: access: not yet"]}`+"\n", "", "--json")

	// Editors and people find the place by FILE:LINE:COLUMN, so nothing stands
	// before it.
	fail = ipc.Mistakes{{File: "a.toml", Line: 3, Column: 1, Key: "modem.bawd", Text: "unknown key"}, {File: "b.toml", Line: 1, Column: 9, Key: "log.level", Text: "unknown word \x1b[2J"}}
	code, out, errs := ctl(nil, "reload")
	lines := strings.Split(errs, "\n")
	if code != exitConfig || out != "" || lines[0] != "a.toml:3:1: modem.bawd: unknown key" || strings.Contains(errs, "\x1b") || !strings.Contains(errs, "nothing was changed") {
		t.Errorf("%d %q\n%s", code, out, errs)
	}
}
