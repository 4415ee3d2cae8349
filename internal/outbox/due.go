package outbox

// dueHeap orders the positions of live messages that can expire by their
// expiry: a binary heap. Every slot in it knows its place, so that 4 bytes do.
type dueHeap []uint32

func (h dueHeap) less(x *index, i, j int) bool { return x.slot(h[i]).due < x.slot(h[j]).due }

func (h dueHeap) swap(x *index, i, j int) {
	h[i], h[j] = h[j], h[i]
	x.slot(h[i]).heap, x.slot(h[j]).heap = uint32(i), uint32(j)
}

func (h *dueHeap) push(x *index, pos uint32) {
	*h = append(*h, pos)
	x.slot(pos).heap = uint32(len(*h) - 1)
	h.up(x, len(*h)-1)
}

// remove takes out the position at place i.
func (h *dueHeap) remove(x *index, i int) {
	last := len(*h) - 1
	if i != last {
		h.swap(x, i, last)
	}
	x.slot((*h)[last]).heap = none
	*h = (*h)[:last]
	if i != last {
		h.down(x, i)
		h.up(x, i)
	}
}

func (h dueHeap) up(x *index, i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(x, i, parent) {
			return
		}
		h.swap(x, i, parent)
		i = parent
	}
}

func (h dueHeap) down(x *index, i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h.less(x, child+1, child) {
			child++
		}
		if !h.less(x, child, i) {
			return
		}
		h.swap(x, i, child)
		i = child
	}
}
