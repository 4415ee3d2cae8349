package bus

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestCalls: a call is answered once, within its time; a repeat of the cloud is the same
// call; what nobody has asked is dropped; and all of it is bounded.
func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		c := h.Calls()
		come := func(id string) {
			h.Publish(Message{Topic: "/sys/pk/dn/rrpc/request/" + id, Payload: []byte("q"), ReceivedAt: time.Now()})
		}
		answer := func(id string) error { return c.Answer("/sys/pk/dn/rrpc/response/"+id, []byte("a"), 3) }
		h.Publish(Message{Topic: "/pk/dn/get", ReceivedAt: time.Now()}) // no call
		come("1")
		come("1")
		if name, ok := c.TopicOf("1"); !ok || name != "/sys/pk/dn/rrpc/response/1" {
			t.Errorf("%q, %v", name, ok)
		}
		if err := answer("2"); !errors.Is(err, ErrCallUnknown) {
			t.Error(err)
		}
		if err := answer("1"); err != nil {
			t.Error(err)
		}
		if err := answer("1"); !errors.Is(err, ErrCallAnswered) {
			t.Error(err)
		}
		<-c.Ready()
		a, late, ok := c.Take()
		if !ok || late || a.ID != "1" || a.Topic != "/sys/pk/dn/rrpc/response/1" || string(a.Payload) != "a" || a.Source != 3 {
			t.Errorf("%+v, %v, %v", a, late, ok)
		}
		come("3")
		come("4")
		if err := answer("3"); err != nil {
			t.Error(err)
		}
		time.Sleep(CallTime)
		if _, late, ok := c.Take(); !ok || !late {
			t.Error("an answer that was not sent in time is handed out")
		}
		if err := answer("4"); !errors.Is(err, ErrCallLate) {
			t.Error(err)
		}
		if st := c.Stats(); st != (CallStats{Came: 3, Answered: 1, Late: 3}) {
			t.Errorf("%+v", st)
		}
		for i := range 2 * maxCalls {
			come(fmt.Sprint("n", i))
			_ = answer(fmt.Sprint("n", i))
		}
		if len(c.known) != maxCalls || len(c.answers) != maxAnswers {
			t.Errorf("%d calls and %d answers are kept", len(c.known), len(c.answers))
		}
		time.Sleep(rememberCall + time.Second)
		come("last")
		if len(c.known) != 1 {
			t.Errorf("%d calls are remembered", len(c.known))
		}
	})
}
