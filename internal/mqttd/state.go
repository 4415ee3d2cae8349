package mqttd

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/topic"
)

// The daemon's own topics.
const (
	stateTopic  = topic.LocalPrefix + "state"
	eventsTopic = topic.LocalPrefix + "events"
)

// stateEvery is how often the status is looked at while somebody watches.
const stateEvery = time.Second

// watch counts a filter of a local topic.
func (r *registry) watch(filter string) {
	if topic.IsLocal(filter) {
		r.watching.Add(1)
		poke(r.watched)
	}
}

func (r *registry) unwatch(filter string) {
	if topic.IsLocal(filter) {
		r.watching.Add(-1)
	}
}

// showState sends a new watcher how things stand.
func (s *Server) showState(ses *session, filter string) {
	if topic.Match(filter, stateTopic) {
		ses.sub.Offer(bus.Message{Topic: stateTopic, Payload: encode(s.o.Status()), ReceivedAt: time.Now()})
	}
	if topic.Match(filter, eventsTopic) {
		w := s.o.Board.Watch()
		defer w.Close()
		now, cancel := context.WithCancel(context.Background())
		cancel()
		if e, err := w.Next(now); err == nil {
			ses.sub.Offer(bus.Message{Topic: eventsTopic, Payload: encode(bus.Line(e)), ReceivedAt: e.At})
		}
	}
}

// encode never fails for what is given to it here.
func encode(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}

// tellState tells the watchers of every event and of every change of the status,
// until ctx ends. While nobody watches it sleeps.
func (s *Server) tellState(ctx context.Context) {
	happened := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.tellEvents(ctx, happened)
	}()
	defer func() { <-done }()
	var last []byte
	for {
		var tick <-chan time.Time
		if s.sessions.watching.Load() > 0 {
			tick = time.After(stateEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.sessions.watched:
			last = lasting(s.o.Status()) // they have been shown it
			continue
		case <-happened:
		case <-tick:
		}
		if s.sessions.watching.Load() == 0 {
			continue
		}
		status := s.o.Status()
		now := lasting(status)
		changed := last != nil && !bytes.Equal(now, last) // a first watcher is shown it, see watched
		if last = now; changed {
			s.o.Hub.Tell(bus.Message{Topic: stateTopic, Payload: encode(status), ReceivedAt: time.Now()})
		}
	}
}

// lasting is a status without what changes by itself.
func lasting(st api.Status) []byte {
	st.UptimeSeconds, st.Cloud.TokenAgeSeconds, st.Modem.NetworkTime = 0, nil, nil
	return encode(st)
}

// tellEvents hands the board's events on.
func (s *Server) tellEvents(ctx context.Context, happened chan struct{}) {
	w := s.o.Board.Watch()
	defer w.Close()
	first := true
	for {
		e, err := w.Next(ctx)
		if err != nil {
			return
		}
		if !first && s.sessions.watching.Load() > 0 {
			s.o.Hub.Tell(bus.Message{Topic: eventsTopic, Payload: encode(bus.Line(e)), ReceivedAt: e.At})
		}
		first = false
		poke(happened)
	}
}
