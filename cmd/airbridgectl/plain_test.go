package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/ipc"
	"airbridged/internal/outbox"
)

// fill gives every text in a value the same one.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type() != reflect.TypeFor[time.Time]() && v.Field(i).CanSet() {
				fill(v.Field(i), text)
			}
		}
	case reflect.Pointer:
		if v.Type() == reflect.TypeFor[*string]() {
			v.Set(reflect.ValueOf(&text))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct || v.Type().Elem().Kind() == reflect.String {
			one := reflect.New(v.Type().Elem()).Elem()
			fill(one, text)
			v.Set(reflect.Append(reflect.MakeSlice(v.Type(), 0, 1), one))
		}
	}
}

// Whatever a program, the module or the cloud puts into a name: no command lets it
// reach the terminal as it is, --json neither, where it still means the same.
func TestNothingSteersTheTerminal(t *testing.T) {
	const evil = "a\u009b31m\u202eb\u2028c\x1b]0;x\x07\u0085"
	d := start(t, func(o *ipc.Options) {
		o.Flight = bus.NewFlight()
		o.Flight.Add(bus.Received, []byte(evil), 3)
		o.Data = func() (data api.Data) {
			fill(reflect.ValueOf(&data).Elem(), evil)
			return data
		}
		o.Reload = func(context.Context) (api.Reloaded, error) { return api.Reloaded{}, errors.New(evil) }
	})
	d.Board.Update(func(s *bus.Status) { fill(reflect.ValueOf(s).Elem(), evil) })
	d.Board.Emit(api.Event{EventHead: api.EventHead{Type: api.StateEvent}, Change: api.Change{From: evil, To: evil, Cause: evil}})
	if _, err := d.Queue.Append(t.Context(), outbox.Message{Topic: evil, Payload: []byte("x"), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	defer close(sent)
	go func() {
		for {
			d.Hub.Publish(bus.Message{Topic: "/" + evil, Payload: []byte(evil), ReceivedAt: time.Now()})
			select {
			case <-sent:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	for _, args := range []string{
		"status", "status --json", "events -n 1", "events -n 1 --json", "outbox", "outbox --json", "trace", "trace --json", "data", "data --json",
		"sub -n 1 #", "sub -n 1 --json #", "reload", "pub " + evil + " x", "outbox drop " + evil, "sub " + evil, "pub /a x --priority " + evil, evil, "status --color=always",
	} {
		_, stdout, stderr := ctl(nil, strings.Split(args, " ")...)
		for _, out := range []string{stdout, stderr} {
			for _, ours := range []string{"\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[2m", "\x1b[1;31m"} {
				out = strings.ReplaceAll(out, ours, "")
			}
			if i := strings.IndexFunc(out, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
				t.Errorf("%q shows %q", args, out[max(0, i-20):min(len(out), i+20)])
			}
		}
		if strings.Contains(args, "sub") && strings.Contains(args, "--json") {
			var line struct{ Topic, Payload string }
			for text := range strings.Lines(stdout) {
				if err := json.Unmarshal([]byte(text), &line); err != nil {
					t.Errorf("%q: %v", text, err)
				}
			}
			if line.Topic != "/"+evil || line.Payload != evil {
				t.Errorf("--json says %q", fmt.Sprint(line))
			}
		}
	}
}
