package airsim

import (
	"container/heap"
	"time"
)

// event is something that will happen in the module or between it and the
// cloud.
type event struct {
	at    time.Time
	seq   uint64
	power uint64 // the power cycle it belongs to; 0: it happens whatever the module does
	run   func()
}

// timeline is the module's future, in order of time and, at one instant, of
// making. It is not safe for concurrent use: the module's lock guards it.
type timeline struct {
	events eventHeap
	seq    uint64
}

func (t *timeline) add(at time.Time, power uint64, run func()) {
	t.seq++
	heap.Push(&t.events, &event{at: at, seq: t.seq, power: power, run: run})
}

func (t *timeline) next() (time.Time, bool) {
	if len(t.events) == 0 {
		return time.Time{}, false
	}
	return t.events[0].at, true
}

func (t *timeline) pop() *event { return heap.Pop(&t.events).(*event) }

type eventHeap []*event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].seq < h[j].seq
	}
	return h[i].at.Before(h[j].at)
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(*event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
