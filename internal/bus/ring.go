package bus

// ring is a bounded memory of what came last, each with a number that counts from
// 1 without holes. Its owner holds a lock over it.
type ring[T any] struct {
	kept []T
	next int    // where the next one goes, once the ring is full
	last uint64 // number of the newest; 0: there was none
}

// add keeps one more in place of the oldest, where there are most.
func (r *ring[T]) add(v T, most int) {
	r.last++
	if len(r.kept) < most {
		r.kept = append(r.kept, v)
		return
	}
	r.kept[r.next] = v
	r.next = (r.next + 1) % most
}

// after returns a copy of what came behind a number, oldest first, as far as it is
// still kept, and the number of the newest.
func (r *ring[T]) after(seq uint64) (list []T, last uint64) {
	n := len(r.kept)
	skip := 0
	if oldest := r.last - uint64(n) + 1; seq >= oldest {
		skip = int(min(seq-oldest+1, uint64(n)))
	}
	for i := skip; i < n; i++ {
		list = append(list, r.kept[(r.next+i)%n])
	}
	return list, r.last
}

// newest returns a pointer to what came last; nil: nothing did.
func (r *ring[T]) newest() *T {
	if len(r.kept) == 0 {
		return nil
	}
	return &r.kept[(r.next+len(r.kept)-1)%len(r.kept)]
}
