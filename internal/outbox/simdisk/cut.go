package simdisk

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Cut returns what a power cut now may leave: one image of many.
func (d *Disk) Cut(r *rand.Rand) *Disk { return d.image(r, style(r.IntN(4))) }

// Certain returns the image of a power cut now in which nothing arrived that need
// not have.
func (d *Disk) Certain() *Disk { return d.image(nil, nothing) }

// style is how much of what was not synced a power cut leaves.
type style int

const (
	nothing style = iota
	everything
	// and from here on, a mixture
)

// arrives decides on one change.
func (s style) arrives(r *rand.Rand) bool { return s == everything || s > everything && r.IntN(2) == 0 }

func (d *Disk) image(r *rand.Rand, s style) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := maps.Clone(d.durable)
	for _, c := range d.changes {
		if s.arrives(r) {
			c.apply(names)
		}
	}
	image := New()
	image.Capacity, image.NoAllocate, image.Lying = d.Capacity, d.NoAllocate, d.Lying
	copies := map[*content]*content{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f := names[name]
		if copies[f] == nil {
			copies[f] = f.image(r, s)
		}
		image.now[name], image.durable[name] = copies[f], copies[f]
	}
	return image
}

// image applies a legal part of the pending changes. The versions of a sector
// keep their order, so that one is the last; different sectors do not.
func (c *content) image(r *rand.Rand, s style) *content {
	b := slices.Clone(c.synced)
	pending := split(c.pending)
	total, seen := map[int64]int{}, map[int64]int{}
	for _, change := range pending {
		total[change.offset/sector]++
	}
	upTo := map[int64]int{} // by sector: how many of its changes arrived
	for _, at := range slices.Sorted(maps.Keys(total)) {
		switch s {
		case nothing:
		case everything:
			upTo[at] = total[at]
		default:
			upTo[at] = r.IntN(total[at] + 1)
		}
	}
	for _, change := range pending {
		at := change.offset / sector
		if seen[at]++; seen[at] <= upTo[at] {
			b = change.apply(b)
		}
	}
	return &content{odd: c.odd, data: b, synced: slices.Clone(b)}
}

// split cuts writes at the ends of sectors.
func split(changes []dataChange) (parts []dataChange) {
	for _, c := range changes {
		if c.data == nil {
			parts = append(parts, c)
			continue
		}
		for at := 0; at < len(c.data); {
			end := min(len(c.data), at+sector-int((c.offset+int64(at))%sector))
			parts = append(parts, dataChange{c.offset + int64(at), c.data[at:end]})
			at = end
		}
	}
	return parts
}
