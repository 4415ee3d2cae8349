package cloudtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/bus"
)

const (
	request  = "/ext/ntp/pk/gw/request"
	response = "/ext/ntp/pk/gw/response"
)

// rig is a session that is online, and a platform that answers.
type rig struct {
	hub   *bus.Hub
	board *bus.StatusBoard
}

func newRig() rig {
	r := rig{bus.NewHub(), bus.NewStatusBoard()}
	name := "gw"
	r.board.Update(func(st *bus.Status) {
		st.State, st.Identity.ProductKey, st.Identity.DeviceName = "online", "pk", &name
	})
	return r
}

// grant grants whatever is asked for, half a second later.
func (r rig) grant(ctx context.Context) {
	for {
		select {
		case <-r.hub.Changed():
		case <-ctx.Done():
			return
		}
		time.Sleep(500 * time.Millisecond)
		for _, f := range r.hub.Missing() {
			r.hub.Grant(f.Topic)
		}
	}
}

// The platform's time is what it says, and half of the way; other answers on the same
// topic are not the one that was asked for.
func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		ctx, stop := context.WithCancel(t.Context())
		granter := make(chan struct{})
		go func() { defer close(granter); r.grant(ctx) }()
		defer func() { stop(); <-granter }()
		server := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
		asker := New(r.hub, r.board, func(_ context.Context, topic string, payload []byte) error {
			if topic != request {
				t.Errorf("asked on %s", topic)
			}
			_, mark, _ := strings.Cut(strings.TrimSuffix(string(payload), `"}`), `":"`)
			go func() {
				time.Sleep(3 * time.Second)
				say := func(text string) { r.hub.Publish(bus.Message{Topic: response, Payload: []byte(text)}) }
				say("nothing of the kind")
				say(`{"deviceSendTime":"1","serverRecvTime":"1","serverSendTime":"1"}`) // to an earlier question
				say(fmt.Sprintf(`{"deviceSendTime":"%s","serverRecvTime":"%d","serverSendTime":%d}`, mark, server.UnixMilli(), server.Add(time.Second).UnixMilli()))
			}()
			return nil
		})
		told, at, err := asker.Ask(t.Context())
		if err != nil || !at.Equal(time.Now()) {
			t.Fatal(told, at, err)
		}
		if want := server.Add(2 * time.Second); !told.Equal(want) { // 3 s in all, 1 s there: 1 s back
			t.Errorf("told %v, want %v", told, want)
		}
	})
}

// Without a session nothing is asked; without a grant or an answer it is over in time.
func TestAskInVain(t *testing.T) {
	t.Run("offline", func(t *testing.T) {
		r := newRig()
		r.board.Update(func(st *bus.Status) { st.State = "recovering" })
		asker := New(r.hub, r.board, func(context.Context, string, []byte) error { t.Error("asked"); return nil })
		if _, _, err := asker.Ask(t.Context()); !errors.Is(err, ErrOffline) || len(r.hub.Wanted()) > 0 {
			t.Error(err)
		}
	})
	for name, c := range map[string]struct {
		grants bool
		most   time.Duration
	}{"no grant": {false, granting + time.Second}, "no answer": {true, waiting + 2*time.Second}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig()
				ctx, stop := context.WithCancel(t.Context())
				granter := make(chan struct{})
				go func() {
					defer close(granter)
					if c.grants {
						r.grant(ctx)
					}
				}()
				defer func() { stop(); <-granter }()
				begun := time.Now()
				_, _, err := New(r.hub, r.board, func(context.Context, string, []byte) error { return nil }).Ask(t.Context())
				if took := time.Since(begun); !errors.Is(err, ErrSilent) || took > c.most {
					t.Errorf("%v after %v", err, took)
				}
			})
		})
	}
}

// What cannot be an answer is none.
func TestParse(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC).UnixMilli()
	form := func(mark, received, sent any) string {
		return fmt.Sprintf(`{"deviceSendTime":%v,"serverRecvTime":%v,"serverSendTime":%v}`, mark, received, sent)
	}
	for name, c := range map[string]struct {
		payload string
		ok      bool
	}{
		"numbers":         {form(7, now, now), true},
		"texts":           {form(`"7"`, fmt.Sprintf("%q", fmt.Sprint(now)), fmt.Sprintf("%q", fmt.Sprint(now))), true},
		"another mark":    {form(8, now, now), false},
		"1970":            {form(7, 0, 0), false},
		"sent before":     {form(7, now, now-1), false},
		"longer than all": {form(7, now, now+60_000), false},
		"a part missing":  {`{"deviceSendTime":7,"serverRecvTime":7}`, false},
		"null":            {form(7, "null", now), false},
		"far future":      {form(7, int64(9e15), int64(9e15)), false},
		"no number":       {form(7, `"x"`, now), false},
	} {
		if got, ok := parse([]byte(c.payload), "7", time.Second); ok != c.ok || ok && got.UnixMilli() != now+500 {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
}
