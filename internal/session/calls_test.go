package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/bus"
	"airbridged/internal/recovery"
)

const calls = "/sys/" + simcloud.GuideProductKey + "/" + simcloud.GuideDeviceName + "/rrpc/"

// call has the cloud call, and waits until it has come.
func (w *world) call(s *bus.Subscription, id string) {
	w.Helper()
	w.cloud.Push(calls+"request/"+id, 0, []byte("question "+id))
	for {
		it, err := s.Next(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		if it.Message != nil && it.Message.Topic == calls+"request/"+id {
			return
		}
	}
}

// TestAnswersGoFirst: a hundred messages wait when the cloud calls. The answer is the next
// that goes out, with QoS 0; what is in flight has its end before.
func TestAnswersGoFirst(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		s, err := w.hub.Subscribe([]string{calls + "request/+"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if it, err := s.Next(t.Context()); err != nil || it.Granted == "" {
			t.Fatalf("%+v, %v", it, err)
		}
		var last string
		for n := range 100 {
			last = w.append(update, 1, fmt.Sprint(n))
		}
		w.call(s, "42")
		before := len(w.cloud.Messages())
		if err := w.hub.Calls().Answer(calls+"response/42", []byte("answer"), 0); err != nil {
			t.Fatal(err)
		}
		w.settled(last)
		got := w.cloud.Messages()
		for i, m := range got {
			if string(m.Payload) == "answer" {
				if m.Topic != calls+"response/42" || m.QoS != 0 || i > before+1 {
					t.Errorf("the answer went to %s with QoS %d, as number %d behind %d", m.Topic, m.QoS, i-before, before)
				}
				return
			}
		}
		t.Error("the answer did not arrive")
	})
}

// TestLateAnswerIsDropped: the link is away when the answer is handed over, and back only
// when nobody waits for it any more. It is dropped, counted and told; one that comes too
// late at once, too.
func TestLateAnswerIsDropped(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		s, err := w.hub.Subscribe([]string{calls + "request/+"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.call(s, "1")
		w.call(s, "2")
		w.order("outage on")
		w.reaches(5*time.Minute, recovery.Recovering, "")
		if err := w.hub.Calls().Answer(calls+"response/1", []byte("late"), 0); err == nil {
			time.Sleep(bus.CallTime)
		}
		if err := w.hub.Calls().Answer(calls+"response/2", []byte("late"), 0); err == nil {
			t.Error("an answer is taken for which nobody waits")
		}
		w.order("outage off")
		w.reaches(10*time.Minute, recovery.Online, "")
		time.Sleep(time.Minute)
		if strings.Contains(w.payloads(), "late") {
			t.Error("a late answer went out")
		}
		if st := w.hub.Calls().Stats(); st.Came != 2 || st.Late != 2 || st.Answered != 0 {
			t.Errorf("%+v", st)
		}
	})
}
