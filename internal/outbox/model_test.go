package outbox

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/outbox/simdisk"
)

var modelSeed = flag.Uint64("model.seed", 0, "run only this seed of TestModel")

// model is the outbox as one would explain it: one list in the order of
// acceptance, searched from end to end each time.
type model struct {
	l       Limits
	live    []*modelMessage
	final   map[string]*modelMessage
	flight  []*modelMessage
	dropped map[string]uint64
}

type modelMessage struct {
	Message
	size  int64
	place int // when it was accepted, or what it was the first to replace
}

func (m *model) end(x *modelMessage, s State, reason, count string) {
	m.live = slices.DeleteFunc(m.live, func(y *modelMessage) bool { return x == y })
	if x.QoS == 0 && s != Sent {
		s = Dropped
	}
	x.State, x.Reason, x.Payload = s, reason, nil
	m.final[x.ID] = x
	if count != "" {
		m.dropped[count]++
	}
}

func (m *model) flying(x *modelMessage) bool { return slices.Contains(m.flight, x) }

func (m *model) land(x *modelMessage) {
	m.flight = slices.DeleteFunc(m.flight, func(y *modelMessage) bool { return x == y })
}

func (m *model) sweep() {
	for _, x := range slices.Clone(m.live) {
		if !m.flying(x) && !x.ExpiresAt.IsZero() && !time.Now().Before(x.ExpiresAt) {
			m.end(x, Expired, ReasonExpired, ReasonExpired)
		}
	}
}

// usage counts a population without those in gone.
func (m *model) usage(qos byte, gone []*modelMessage) (n int, size int64) {
	for _, x := range m.live {
		if x.QoS == qos && !slices.Contains(gone, x) {
			n, size = n+1, size+x.size
		}
	}
	return n, size
}

// append decides whether a message is accepted, and ends what goes for it. place is
// that of the first one that it replaces; 0: of none.
func (m *model) append(in Message) (accepted bool, place int) {
	m.sweep()
	size := int64(len(in.Topic) + len(in.Payload))
	maxN, maxSize := m.l.Messages, m.l.Bytes
	if in.QoS == 0 {
		maxN, maxSize = m.l.HeldMessages, m.l.HeldBytes
	}
	var replaced, gone []*modelMessage
	for _, x := range m.live {
		if in.Latest && !m.flying(x) && x.Topic == in.Topic && x.QoS <= in.QoS {
			replaced = append(replaced, x)
		}
	}
	gone = slices.Clone(replaced)
	for {
		n, used := m.usage(in.QoS, gone)
		if n+1 <= maxN && used+size <= maxSize {
			break
		}
		x := m.victim(in, gone)
		if x == nil {
			return false, 0
		}
		gone = append(gone, x)
	}
	for _, x := range gone {
		reason := ReasonFull
		if slices.Contains(replaced, x) {
			reason = ReasonReplaced
			if place == 0 || x.place < place {
				place = x.place
			}
		}
		m.end(x, Dropped, reason, reason)
	}
	return true, place
}

func (m *model) victim(in Message, gone []*modelMessage) (worst *modelMessage) {
	for _, x := range m.live {
		switch {
		case x.QoS != in.QoS, m.flying(x), slices.Contains(gone, x):
		case x.QoS == 0:
			return x
		case !m.l.DropOldest, x.Priority < in.Priority:
		case worst == nil || x.Priority > worst.Priority || x.Priority == worst.Priority && x.place < worst.place:
			worst = x
		}
	}
	return worst
}

func (m *model) take() *modelMessage {
	m.sweep()
	if len(m.flight) > 0 {
		return nil
	}
	var first *modelMessage
	for _, x := range m.live {
		if first == nil || x.Priority < first.Priority || x.Priority == first.Priority && x.place < first.place {
			first = x
		}
	}
	return m.fly(first)
}

func (m *model) fly(x *modelMessage) *modelMessage {
	if x != nil {
		m.flight = append(m.flight, x)
		x.Attempts++
		if x.QoS == 1 {
			x.State = InFlight
		}
	}
	return x
}

// along is the next one behind the last in flight that is like it in everything that
// counts, unless one of QoS 0 goes before it.
func (m *model) along() *modelMessage {
	m.sweep()
	if len(m.flight) == 0 {
		return nil
	}
	last := m.flight[len(m.flight)-1]
	like := func(x *modelMessage) bool { return x.Topic == last.Topic && x.Priority == last.Priority }
	for _, x := range m.live[slices.Index(m.live, last)+1:] {
		if last.QoS == 0 || x.QoS == 0 || !like(x) {
			continue
		}
		if slices.ContainsFunc(m.live, func(y *modelMessage) bool { return y.QoS == 0 && like(y) && y.place < x.place }) {
			return nil
		}
		return m.fly(x)
	}
	return nil
}

func (m *model) release(x *modelMessage) {
	m.land(x)
	if x.QoS == 1 {
		x.State = Queued
	}
	m.sweep()
	if !slices.Contains(m.live, x) {
		return
	}
	for _, y := range m.live[slices.Index(m.live, x)+1:] {
		if y.Latest && y.Topic == x.Topic && y.QoS >= x.QoS {
			m.end(x, Dropped, ReasonReplaced, ReasonReplaced)
			return
		}
	}
}

// schedule runs random operations on the queue and the model.
type schedule struct {
	t *testing.T
	r *rand.Rand
	q *Queue
	m *model
	// ids of every message ever accepted, for random look-ups
	ids     []string
	durable bool
}

func (s *schedule) fatal(what string, got, want any) {
	s.t.Helper()
	s.t.Fatalf("after %d messages: %s is\n %+v, want\n %+v", len(s.ids), what, got, want)
}

func (s *schedule) append() {
	in := Message{
		Topic: string(rune('a' + s.r.IntN(5))), Payload: make([]byte, s.r.IntN(12)), QoS: byte(s.r.IntN(2)),
		Priority: Priority(s.r.IntN(int(levels))), Latest: s.r.IntN(5) == 0,
	}
	if s.r.IntN(3) == 0 {
		in.TTL = time.Duration(1+s.r.IntN(20)) * time.Second
	}
	accepted, place := s.m.append(in)
	got, err := s.q.Append(s.t.Context(), in)
	if accepted != (err == nil) || err != nil && !errors.Is(err, ErrFull) {
		s.fatal(fmt.Sprintf("append %+v", in), err, accepted)
	}
	if !accepted {
		return
	}
	want := in
	want.ID, want.AcceptedAt, want.State, want.Size = got.ID, time.Now(), Queued, len(in.Payload)
	if in.QoS == 0 {
		want.State = Held
	}
	life := in.TTL
	if s.m.l.MaxAge > 0 && (life == 0 || life > s.m.l.MaxAge) {
		life = s.m.l.MaxAge
	}
	if life > 0 {
		want.ExpiresAt = want.AcceptedAt.Add(life)
	}
	s.same("append", got, want)
	if s.ids = append(s.ids, got.ID); place == 0 {
		place = len(s.ids)
	}
	s.m.live = append(s.m.live, &modelMessage{want, int64(len(want.Topic) + len(want.Payload)), place})
}

// shown is a message as a list shows it: what is on disk is not read for that, and
// the time to live is what is left of it.
func (s *schedule) shown(m Message) string {
	if s.durable && m.QoS == 1 {
		m.Payload, m.TTL = nil, 0
	}
	return fmt.Sprintf("%+v", m)
}

func (s *schedule) same(what string, got, want Message) {
	s.t.Helper()
	if a, b := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); a != b {
		s.fatal(what, a, b)
	}
}

func (s *schedule) take() {
	x := s.m.take()
	got, ok := s.q.Take()
	if want := x != nil; ok != want {
		s.fatal("take", ok, want)
	}
	if ok {
		s.same("take", got, x.Message)
	}
}

func (s *schedule) takeAlong() {
	x := s.m.along()
	got, ok := s.q.TakeAlong()
	if want := x != nil; ok != want {
		s.fatal("take along", ok, want)
	}
	if ok {
		s.same("take along", got, x.Message)
	}
}

func (s *schedule) settle() {
	if len(s.m.flight) == 0 {
		return
	}
	x := s.m.flight[s.r.IntN(len(s.m.flight))]
	var err error
	switch s.r.IntN(5) {
	case 0:
		s.m.release(x)
		err = s.q.Release(x.ID)
	case 1:
		x.Attempts--
		s.m.release(x)
		err = s.q.PutBack(x.ID)
	case 2:
		s.m.land(x)
		s.m.end(x, Rejected, "words", ReasonRejected)
		err = s.q.Done(x.ID, Rejected, "words")
	default:
		outcome := map[byte]State{0: Sent, 1: Acked}[x.QoS]
		ids := []string{x.ID}
		if x.QoS == 1 && s.r.IntN(2) == 0 { // one PUBACK for all
			ids = nil
			for _, y := range s.m.flight {
				ids = append(ids, y.ID)
			}
		}
		for _, y := range slices.Clone(s.m.flight) {
			if slices.Contains(ids, y.ID) {
				s.m.land(y)
				s.m.end(y, outcome, "", "")
			}
		}
		err = s.q.DoneAll(ids, outcome)
	}
	if err != nil {
		s.fatal("settle", err, nil)
	}
}

func (s *schedule) find(id string) *modelMessage {
	s.m.sweep()
	if i := slices.IndexFunc(s.m.live, func(x *modelMessage) bool { return x.ID == id }); i >= 0 {
		return s.m.live[i]
	}
	return s.m.final[id]
}

func (s *schedule) drop() {
	if len(s.ids) == 0 {
		return
	}
	id := s.ids[s.r.IntN(len(s.ids))]
	x := s.find(id)
	var want error
	switch {
	case s.m.final[id] != nil:
		want = ErrFinal
	case s.m.flying(x):
		want = ErrInFlight
	default:
		s.m.end(x, Dropped, ReasonRemoved, ReasonRemoved)
	}
	if err := s.q.Drop(id); !errors.Is(err, want) {
		s.fatal("drop", err, want)
	}
}

func (s *schedule) dropTopic() {
	topic := string(rune('a' + s.r.IntN(5)))
	s.m.sweep()
	want := 0
	for _, x := range slices.Clone(s.m.live) {
		if x.Topic == topic && !s.m.flying(x) {
			s.m.end(x, Dropped, ReasonRemoved, ReasonRemoved)
			want++
		}
	}
	if got, err := s.q.DropTopic(func(t string) bool { return t == topic }); got != want || err != nil {
		s.fatal("dropped by topic", got, want)
	}
}

// compare looks at everything there is to see.
func (s *schedule) compare() {
	s.m.sweep()
	after, pageSize := "", 1+s.r.IntN(8)
	var want []string
	for _, x := range s.m.live {
		want = append(want, s.shown(x.Message))
	}
	if len(s.ids) > 0 && s.r.IntN(2) == 0 { // from anywhere, gone or not
		after = s.ids[s.r.IntN(len(s.ids))]
		want = slices.DeleteFunc(want, func(x string) bool { return x[len("{ID:"):][:len(after)] <= after })
	}
	var got []string
	for {
		page, total := s.q.List(after, pageSize)
		if total != len(s.m.live) {
			s.fatal("total", total, len(s.m.live))
		}
		for _, m := range page {
			got = append(got, s.shown(m))
			after = m.ID
		}
		if len(page) < pageSize {
			break
		}
	}
	if !slices.Equal(got, want) {
		s.fatal("list", strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
	st := s.q.Stats()
	kept, size := s.m.usage(1, nil)
	held, _ := s.m.usage(0, nil)
	model := Stats{Messages: kept, Bytes: size, Held: held, InFlight: len(s.m.flight), Dropped: s.m.dropped}
	if i := slices.IndexFunc(s.m.live, func(x *modelMessage) bool { return x.QoS == 1 }); i >= 0 {
		model.OldestAt = s.m.live[i].AcceptedAt
	}
	if a, b := fmt.Sprintf("%+v", st), fmt.Sprintf("%+v", model); a != b {
		s.fatal("stats", a, b)
	}
	if len(s.ids) > 0 {
		id := s.ids[s.r.IntN(len(s.ids))]
		m, err := s.q.Get(id)
		if err != nil {
			s.fatal("get", err, nil)
		}
		want := s.find(id).Message
		if _, final := s.m.final[id]; final && s.durable {
			m.TTL, want.TTL = 0, 0 // remembered as what was left of the queue's maximum
		}
		if a, b := s.shown(m), s.shown(want); a != b {
			s.fatal("get", a, b)
		}
	}
}

// TestModel compares the queue with the model after each of many random
// operations, in memory and on disk. A failure names its seed; -model.seed runs
// it again.
func TestModel(t *testing.T) {
	seeds := []uint64{*modelSeed}
	if *modelSeed == 0 {
		for i := range uint64(20) {
			seeds = append(seeds, i+1)
		}
		seeds[0] = rand.Uint64()
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { modelSchedule(t, seed, false) })
		})
		t.Run(fmt.Sprint("on disk, seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { modelSchedule(t, seed, true) })
		})
	}
}

func modelSchedule(t *testing.T, seed uint64, durable bool) {
	r := rand.New(rand.NewPCG(seed, 0))
	l := Limits{
		Bytes: int64(20 + r.IntN(100)), Messages: 1 + r.IntN(15), DropOldest: r.IntN(2) == 0,
		HeldMessages: 1 + r.IntN(6), HeldBytes: int64(15 + r.IntN(50)), MaxAge: time.Duration(r.IntN(2)*30) * time.Second,
	}
	s := &schedule{t: t, r: r, q: New(l), durable: durable, m: &model{l: l, final: map[string]*modelMessage{}, dropped: map[string]uint64{}}}
	if durable {
		s.q = openOn(t, simdisk.New(), l).Queue
	}
	for _, reason := range Reasons() {
		s.m.dropped[reason] = 0
	}
	for range 1000 {
		switch n := r.IntN(100); {
		case n < 40:
			s.append()
		case n < 55:
			s.take()
		case n < 65:
			s.takeAlong()
		case n < 85:
			s.settle()
		case n < 90:
			s.drop()
		case n < 91:
			s.dropTopic()
		default:
			time.Sleep(time.Duration(r.IntN(4000)) * time.Millisecond)
		}
		s.compare()
	}
}
