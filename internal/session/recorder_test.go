package session_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/bus"
	"airbridged/internal/durable"
	"airbridged/internal/outbox"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
)

// recorded is all that the flight recorder holds.
func (w *world) recorded() (list []bus.Traffic) {
	list, _, _ = w.flight.After(0, 1<<20)
	return list
}

// noSecrets looks for every secret of this world, and for the topics and payloads
// that went up, in the flight recorder and its dumps; for the secrets in the log
// and the status too.
func (w *world) noSecrets() {
	w.Helper()
	id := provision.Identity{ProductKey: simcloud.GuideProductKey, DeviceName: simcloud.GuideDeviceName}
	secrets := []string{simcloud.GuideProductSecret}
	store := provision.OpenIn(durable.OnDisk(w.state)) // the session's own is for its goroutine
	if text, ok, _ := store.DeviceSecret(id); ok {
		secrets = append(secrets, text.Reveal())
	}
	if token, ok := store.Token(id); ok {
		secrets = append(secrets, token.Secret.Reveal())
	}
	for _, c := range w.commands() {
		if parts := strings.Split(c, `"`); strings.HasPrefix(c, "AT+MCONFIG=") && len(parts) == 7 {
			secrets = append(secrets, parts[5])
		}
	}
	slices.Sort(secrets)
	secrets = slices.Compact(secrets)
	var trace strings.Builder
	for _, t := range w.recorded() {
		trace.WriteString(t.Text + "\n")
	}
	dumps, _ := filepath.Glob(filepath.Join(w.state, "traces", "*"))
	for _, path := range dumps {
		data, err := os.ReadFile(path)
		if err != nil {
			w.Error(err)
		}
		trace.Write(data)
	}
	seen := trace.String()
	for _, s := range append(secrets, update, get) {
		if s != "" && strings.Contains(seen, s) {
			w.Errorf("%q is in the flight recorder", s)
		}
	}
	for _, s := range secrets {
		if s != "" && strings.Contains(w.log.String(), s) {
			w.Errorf("%q is in the log", s)
		}
	}
}

// What led to a reset can be read afterwards: the recorder goes on over every
// port that is opened, and is on disk before the module is reset.
func TestFlightRecorderSurvivesThePort(t *testing.T) {
	t.Parallel()
	online(t, setup{module: func(o *airsim.Options) { o.Personality, o.Latency = "2g", false }}, func(t *testing.T, w *world) {
		w.publish(update, 1, `{"secret payload":1}`)
		w.order("hang")
		w.reaches(2*time.Minute, recovery.Recovering, recovery.NoAnswer)
		time.Sleep(5 * time.Minute)
		w.order("reset")
		w.reaches(10*time.Minute, recovery.Online, "")
		var texts []string
		opened := 0
		for _, e := range w.recorded() {
			texts = append(texts, e.Dir.String()+" "+e.Text)
			if strings.HasPrefix(e.Text, "port open") {
				opened++
			}
		}
		all := strings.Join(texts, "\n")
		for _, want := range []string{
			"note probing -> attaching\n", "tx AT+CSQ\nrx +CSQ: ", "rx +HTTPREAD: 149 [149 bytes]\nrx OK\n",
			"tx AT+MPUB=[35 bytes],1,0,[24 bytes]\nrx OK\nrx PUBACK\n", "note AT: no answer, timeout\n",
			"note online -> recovering, cause out-of-sync\n", "note resync: failed\n", "note connecting -> online",
		} {
			if !strings.Contains(all, want) {
				t.Errorf("%q is not in the recorder:\n%s", want, all)
				break
			}
		}
		if opened < 3 {
			t.Errorf("only %d ports are in the recorder, so nothing was survived", opened)
		}
		dumps, err := filepath.Glob(filepath.Join(w.state, "traces", "*.ndjson"))
		if err != nil || len(dumps) == 0 || len(dumps) > 2 {
			t.Errorf("dumps %v, %v; want one, or two if the ladder took over 10 minutes", dumps, err)
		}
	})
}

// Noise on the line destroys names, quotes and line ends of what the module
// echoes and answers. No part of a secret, topic or payload gets into the recorder
// by that; end looks for them.
func TestNoiseCarriesNothingIntoTheFlightRecorder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		inWorld(t, setup{module: func(o *airsim.Options) { o.Seed, o.Personality = seed, "2g" }}, func(t *testing.T, w *world) {
			for _, fault := range []string{"corrupt +HTTPREAD", "lose 40", "echo-cut CONNECT", "http-lie 30"} {
				if _, err := w.module.Do(fault); err != nil {
					t.Logf("%s: %v", fault, err)
				}
			}
			w.begin()
			for range 20 {
				w.append(update, 1, "reading 21.5 degrees")
				w.order("lose 25")
				time.Sleep(20 * time.Second)
			}
			w.reaches(30*time.Minute, recovery.Online, "")
			if m := w.publish(update, 1, "last"); m.State != outbox.Acked {
				t.Errorf("the message ended as %s", m.State)
			}
			for _, e := range w.recorded() {
				for _, part := range []string{"degree", "reading", "deviceS", "success", simcloud.GuideProductKey[:6], "862991"} {
					if strings.Contains(e.Text, part) {
						t.Errorf("%q holds %q", e.Text, part)
					}
				}
			}
		})
	}
}
