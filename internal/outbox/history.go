package outbox

// history remembers the last final states, without payloads.
type history struct {
	ring  []Message // grows to remembered, then the oldest is overwritten
	next  int
	index map[string]int
	none  bool // nothing is remembered
}

func newHistory() history { return history{index: map[string]int{}} }

func (h *history) add(m Message) {
	if h.none {
		return
	}
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
