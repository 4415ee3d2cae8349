package outbox

// entry is one live message with its places in the queue.
type entry struct {
	m    Message
	link [chainKinds]struct{ prev, next *entry }
	due  int           // its index in the heap of expiries; notDue: not in there
	done chan struct{} // closed with the final state; nil until somebody waits
}

const notDue = -1

// chainKind selects the links a chain runs over: an entry is in one of each.
type chainKind uint8

const (
	byAge   chainKind = iota // its population, oldest first
	byLevel                  // its priority, oldest first
	byTopic                  // its topic, oldest first
	chainKinds
)

// chain is a doubly linked list through the entries: taking one out of its
// middle is what replacing, expiry and dropping do all the time.
type chain struct {
	kind       chainKind
	head, tail *entry
	n          int
}

func (c *chain) append(e *entry) {
	e.link[c.kind].prev = c.tail
	if c.tail == nil {
		c.head = e
	} else {
		c.tail.link[c.kind].next = e
	}
	c.tail = e
	c.n++
}

func (c *chain) remove(e *entry) {
	l := &e.link[c.kind]
	if l.prev == nil {
		c.head = l.next
	} else {
		l.prev.link[c.kind].next = l.next
	}
	if l.next == nil {
		c.tail = l.prev
	} else {
		l.next.link[c.kind].prev = l.prev
	}
	l.prev, l.next = nil, nil
	c.n--
}

// after returns the entry behind e.
func (c *chain) after(e *entry) *entry { return e.link[c.kind].next }

// dueHeap orders entries by expiry (container/heap).
type dueHeap []*entry

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].m.ExpiresAt.Before(h[j].m.ExpiresAt) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].due, h[j].due = i, j }

// Push is for container/heap only.
func (h *dueHeap) Push(x any) {
	e := x.(*entry)
	e.due = len(*h)
	*h = append(*h, e)
}

// Pop is for container/heap only.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.due = notDue
	return e
}

// history remembers the last final states, without payloads.
type history struct {
	ring  []Message // grows to remembered, then the oldest is overwritten
	next  int
	index map[string]int
}

func newHistory() history { return history{index: map[string]int{}} }

func (h *history) add(m Message) {
	if len(h.ring) < remembered {
		h.ring = append(h.ring, m)
	} else {
		delete(h.index, h.ring[h.next].ID)
		h.ring[h.next] = m
	}
	h.index[m.ID] = h.next
	h.next = (h.next + 1) % remembered
}

func (h *history) get(id string) (Message, bool) {
	i, ok := h.index[id]
	if !ok {
		return Message{}, false
	}
	return h.ring[i], true
}
