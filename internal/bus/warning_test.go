package bus_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"airbridged/client/api"
	"airbridged/internal/bus"
)

// What lasts is in the status until it is over, whatever the state is; several of
// one code are told apart by what they are about; and it is an event once.
func TestWarningsLast(t *testing.T) {
	b := bus.NewStatusBoard()
	watch := b.Watch()
	defer watch.Close()
	shown := func() string {
		t.Helper()
		data, err := json.Marshal(b.Status().Warnings)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if got := shown(); got != "[]" {
		t.Errorf("without any: %s", got)
	}
	before := b.Status()
	b.SetWarning(bus.Warning{Code: bus.StoreFailing, About: "/state", Detail: "one"})
	b.SetWarning(bus.Warning{Code: bus.StoreFailing, About: "/outbox", Detail: "two", Hint: "look"})
	b.SetWarning(bus.Warning{Code: bus.StoreFailing, About: "/state", Detail: "three"})
	b.Update(func(st *bus.Status) { st.State, st.Cause = "online", "" })
	if got, want := shown(), `[{"code":"store-failing","detail":"two","hint":"look"},{"code":"store-failing","detail":"three","hint":""}]`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(before.Warnings) != 0 {
		t.Error("a status that was handed out has changed")
	}
	if !b.ClearWarning(bus.StoreFailing, "/state") || b.ClearWarning(bus.StoreFailing, "/state") || b.ClearWarning(bus.LogLost, "") {
		t.Error("clearing")
	}
	if got, want := shown(), `[{"code":"store-failing","detail":"two","hint":"look"}]`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var told []string
	for len(told) < 2 {
		e, err := watch.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == api.WarningEvent {
			told = append(told, e.Code+" "+e.Detail)
		}
	}
	if fmt.Sprint(told) != "[store-failing one store-failing two]" {
		t.Errorf("events: %v", told)
	}
	for i := range 100 {
		b.SetWarning(bus.Warning{Code: bus.FilterRefused, About: fmt.Sprint(i)})
	}
	if n := len(b.Status().Warnings); n > 64 {
		t.Errorf("%d warnings are kept", n)
	}
}
