package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/ipc"
)

// answering is a module that always says the same.
type answering struct {
	reply bus.ATReply
	err   error
	got   string
	force bool
	next  *time.Time
}

func (a *answering) AT(_ context.Context, command string, force bool) (bus.ATReply, error) {
	a.got, a.force = command, force
	return a.reply, a.err
}

func (a *answering) Reprovision(context.Context) error { return a.err }

func (a *answering) Reconnect(context.Context) (*time.Time, error) { return a.next, a.err }

func TestReconnect(t *testing.T) {
	now, later := time.Now(), time.Now().Add(40*time.Second)
	often := &bus.AskError{Err: bus.ErrTooOften, Detail: "it was asked for 5 times", Hint: "wait", After: time.Second}
	for _, c := range []struct {
		module answering
		args   string
		code   int
		says   string
	}{
		{answering{}, "reconnect", 0, "is online\n"},
		{answering{next: &now}, "reconnect", 0, "tries now\n"},
		{answering{next: &later}, "reconnect", 0, "tries in "},
		{answering{}, "reconnect --json", 0, `{"next_attempt_at":null}` + "\n"},
		{answering{err: often}, "reconnect", 75, "airbridgectl: It was asked for too often: it was asked for 5 times"},
	} {
		d := start(t, func(o *ipc.Options) { o.Module = &c.module })
		code, stdout, stderr := ctl(nil, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%q: %d %q %q", c.args, code, stdout, stderr)
		}
		d.Stop()
	}
}

func TestATPrintsWhatTheModuleSays(t *testing.T) {
	good := bus.ATReply{ATReply: api.ATReply{Lines: []string{"+CSQ: 22,99", "odd\x1b[2J"}, Final: "OK", OK: true, Seconds: 0.25}}
	bad := bus.ATReply{ATReply: api.ATReply{Lines: []string{}, Final: "+CME ERROR: 3"}}
	anew := bus.ATReply{ATReply: api.ATReply{Lines: []string{}, Final: "OK", OK: true, Anew: true}}
	refused := func(kind error) error { return &bus.AskError{Err: kind, Detail: "why not", Hint: "do this"} }
	harmful := &bus.AskError{Err: bus.ErrHarmful, Detail: "why not", Hint: `with "force":true it is given`}
	for _, c := range []struct {
		name   string
		args   []string
		module answering
		code   int
		out    string
		says   string // on stderr
	}{
		{"an answer", []string{"at", "AT+CSQ"}, answering{reply: good}, 0, "+CSQ: 22,99\n\"odd\\x1b[2J\"\nOK\n", ""},
		{"as JSON", []string{"at", "--json", "AT+CSQ"}, answering{reply: good}, 0, `{"lines":["+CSQ: 22,99","odd\u001b[2J"],"final":"OK","ok":true,"took_seconds":0.25,"session_begins_anew":false}` + "\n", ""},
		{"an ERROR", []string{"at", "AT+CCID"}, answering{reply: bad}, exitRefused, "+CME ERROR: 3\n", ""},
		{"forced", []string{"at", "AT+CFUN=1,1", "--force"}, answering{reply: anew}, 0, "OK\n", "the session begins anew"},
		{"harmful", []string{"at", "AT+RESET"}, answering{err: harmful}, exitRefused, "", "hint: with --force it is given\n"},
		{"never", []string{"at", "--force", "ATD1"}, answering{err: refused(bus.ErrHarmful)}, exitRefused, "", "hint: do this\n"},
		{"no command", []string{"at", "x"}, answering{err: refused(bus.ErrNotACommand)}, exitRefused, "", "why not"},
		{"no module", []string{"at", "AT"}, answering{err: refused(bus.ErrNoModule)}, exitTryAgain, "", "try again in 10 s"},
		{"busy", []string{"at", "AT"}, answering{err: refused(bus.ErrBusy)}, exitTryAgain, "", "try again in 5 s"},
		{"silent", []string{"at", "AT"}, answering{err: refused(bus.ErrNoAnswer)}, exitRefused, "", "did not answer"},
	} {
		start(t, func(o *ipc.Options) { o.Module = &c.module })
		code, out, errs := ctl(nil, c.args...)
		if code != c.code || out != c.out || !strings.Contains(errs, c.says) || c.says == "" && errs != "" {
			t.Errorf("%s: %d, %q, %q", c.name, code, out, errs)
		}
		if c.module.force != strings.Contains(strings.Join(c.args, " "), "--force") || c.module.got == "" {
			t.Errorf("%s: the module was given %q, force %v", c.name, c.module.got, c.module.force)
		}
	}
}

func TestReprovision(t *testing.T) {
	if os.Geteuid() != 0 {
		start(t, func(o *ipc.Options) { o.Module = &answering{} })
		if code, _, errs := ctl(nil, "reprovision", "--yes"); code != exitPermission {
			t.Errorf("%d %q", code, errs)
		}
		return
	}
	for _, c := range []struct {
		err  error
		code int
		out  string
		says string
	}{
		{nil, 0, "registered\n", ""},
		{&bus.AskError{Err: bus.ErrUnderWay}, exitTryAgain, "registering\n", "airbridgectl events"},
		{&bus.AskError{Err: bus.ErrCloud, Detail: "code 6289", Hint: "reset the device"}, exitRefused, "", "hint: reset the device"},
		{&bus.AskError{Err: bus.ErrNotNow, Detail: "by hand"}, exitRefused, "", "by hand"},
	} {
		start(t, func(o *ipc.Options) { o.Module = &answering{err: c.err} })
		code, out, errs := ctl(nil, "reprovision", "--yes")
		if code != c.code || out != c.out || !strings.Contains(errs, c.says) {
			t.Errorf("%v: %d, %q, %q", c.err, code, out, errs)
		}
	}
}
