package doctor

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/ipc"
	"airbridged/internal/ipc/ipctest"
)

// answers is the module behind a daemon: what it says to each command.
type answers struct {
	mu    sync.Mutex
	says  map[string]string // lines and the final one, by /
	err   error
	asked []string
}

func (a *answers) AT(_ context.Context, command string, force bool) (bus.ATReply, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, command)
	said, known := a.says[command]
	if a.err != nil && !known {
		return bus.ATReply{}, a.err
	}
	if !known || force {
		said = "ERROR"
	}
	lines := strings.Split(said, "/")
	return bus.ATReply{ATReply: api.ATReply{Lines: lines[:len(lines)-1], Final: lines[len(lines)-1], OK: strings.HasSuffix(said, "OK")}, Command: command}, nil
}

func (*answers) Reconnect(context.Context) (*time.Time, error) { return nil, nil }

func (a *answers) Reprovision(context.Context) error { panic("the doctor registers nothing") }

// A module behind a daemon is asked what can be asked without changing anything,
// and what it says now counts more than what the daemon saw last.
func TestModuleBehindADaemonIsAsked(t *testing.T) {
	path, _ := configured(t)
	dbm := -65
	healthy := map[string]string{
		"AT+CFUN?": "+CFUN: 1/OK", "AT+CPIN?": "+CPIN: READY/OK", "AT+CCID": "89860418161892021234/OK", "AT+CSQ": "+CSQ: 20,0/OK",
		"AT+CEREG?": "+CEREG: 0,5/OK", "AT+CGATT?": "+CGATT: 1/OK", "AT+COPS?": `+COPS: 0,0,"CHINA MOBILE",7/OK`,
	}
	with := func(changed map[string]string) map[string]string {
		all := map[string]string{}
		for k, v := range healthy {
			all[k] = v
		}
		for k, v := range changed {
			all[k] = v
		}
		return all
	}
	busy := &bus.AskError{Err: bus.ErrBusy, Detail: "no moment", Hint: "try again"}
	for _, c := range []struct {
		name    string
		module  *answers
		check   string
		verdict Verdict
		words   string
	}{
		{"signal", &answers{says: healthy}, Signal, OK, "-73 dBm"},
		{"network", &answers{says: healthy}, Network, OK, "registered with CHINA MOBILE"},
		{"SIM was pulled just now", &answers{says: with(map[string]string{"AT+CPIN?": "+CME ERROR: 10"})}, SIM, Fail, "inserted"},
		{"short messages only", &answers{says: with(map[string]string{"AT+CEREG?": "+CEREG: 0,6/OK"})}, Network, Warning, "registered for SMS only"},
		{"registration was denied", &answers{says: with(map[string]string{"AT+CEREG?": "+CEREG: 0,3/OK"})}, Network, Warning, "registration denied"},
		{"registration is not told", &answers{says: with(map[string]string{"AT+CEREG?": "ERROR"})}, Network, OK, "registered with CHINA MOBILE"},
		{"network was lost just now", &answers{says: with(map[string]string{"AT+CEREG?": "+CEREG: 0,2/OK", "AT+CGATT?": "+CGATT: 0/OK"})}, Network, Warning, "online over it"},
		{"no signal", &answers{says: with(map[string]string{"AT+CSQ": "+CSQ: 0,0/OK"})}, Signal, Warning, "online over it"},
		{"daemon has no moment", &answers{err: busy}, SIM, OK, "ready, number unknown"},
		{"daemon has no moment, signal", &answers{err: busy}, Signal, OK, "-65 dBm"},
		{"daemon has none any more", &answers{says: map[string]string{"AT+CFUN?": "+CFUN: 1/OK"}, err: busy}, SIM, OK, "ready, number unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := ipctest.Start(func(o *ipc.Options) { o.Module = c.module })
			defer d.Stop()
			d.Board.Update(func(s *bus.Status) { s.State, s.Modem.SignalDBm = "online", &dbm })
			r, err := Examine(t.Context(), Options{Config: path, Socket: d.Socket})
			if err != nil {
				t.Fatal(err)
			}
			wants(t, r, c.check, c.verdict, c.words)
			if r.OK != (c.verdict != Fail) || len(r.Findings) != 16 {
				t.Errorf("%+v", r)
			}
			for _, command := range c.module.asked {
				if strings.Contains(command, "=") || command == "ATE0" {
					t.Errorf("%s changes something", command)
				}
			}
		})
	}
}

// What the module says now stands behind the daemon's own cause.
func TestAskedNowBehindACause(t *testing.T) {
	path, _ := configured(t)
	d := ipctest.Start(func(o *ipc.Options) {
		o.Module = &answers{says: map[string]string{"AT+CFUN?": "+CFUN: 1/OK", "AT+CPIN?": "+CPIN: SIM PIN/OK"}}
	})
	defer d.Stop()
	d.Board.Update(func(s *bus.Status) { s.State, s.Cause, s.Hint = "recovering", "sim-missing", "look at the SIM" })
	r, err := Examine(t.Context(), Options{Config: path, Socket: d.Socket})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, r, SIM, Fail, "sim-missing; asked now: it is locked: the module says \"SIM PIN\" -- look at the SIM")
	wants(t, r, Network, Skipped, "because of the SIM above")
}

// Seen: the doctor said FAIL of a SIM that it had just found ready. What the daemon found
// at its last attempt is over then, and its next attempt is what to have.
func TestAskedNowAndItIsWell(t *testing.T) {
	path, _ := configured(t)
	d := ipctest.Start(func(o *ipc.Options) {
		o.Module = &answers{says: map[string]string{"AT+CFUN?": "+CFUN: 1/OK", "AT+CPIN?": "+CPIN: READY/OK"}}
	})
	defer d.Stop()
	next := time.Now().Add(3 * time.Minute)
	d.Board.Update(func(s *bus.Status) {
		s.State, s.Cause, s.Hint, s.NextAttemptAt = "recovering", "sim-missing", "look at the SIM", &next
	})
	r, err := Examine(t.Context(), Options{Config: path, Socket: d.Socket})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, r, SIM, Warning, "sim-missing; asked now: ready")
	wants(t, r, SIM, Warning, "airbridgectl reconnect")
	if !r.OK || r.First != SIM {
		t.Errorf("%+v", r)
	}
}
