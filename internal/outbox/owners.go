package outbox

// MaxOwner is how long the name of an owner may be, in bytes.
const MaxOwner = 128

// ownerTable gives everybody who has live messages a number. 0 is nobody, whose name is
// empty: of messages that do not say whose they are.
type ownerTable struct {
	list   []owner
	byName map[string]uint16
	free   []uint16
}

// owner is whoever has handed messages over.
type owner struct {
	name  string
	n     int   // live messages
	bytes int64 // topics and payloads of these
}

// manyOwners bounds the table. Messages of more owners at once count as nobody's.
const manyOwners = 1 << 15

func newOwnerTable() ownerTable {
	return ownerTable{list: make([]owner, 1), byName: map[string]uint16{"": 0}}
}

// get returns what is known of an owner; nil: he has no live message.
func (t *ownerTable) get(name string) *owner {
	if i, ok := t.byName[name]; ok {
		return &t.list[i]
	}
	return nil
}

// fuller returns the number of the owner with most bytes, if these are more than somebody's;
// -1: there is none.
func (t *ownerTable) fuller(than string) int {
	bytes, most := int64(0), -1
	if o := t.get(than); o != nil {
		bytes = o.bytes
	}
	for i := range t.list {
		if t.list[i].n > 0 && t.list[i].bytes > bytes {
			bytes, most = t.list[i].bytes, i
		}
	}
	return most
}

// intern returns the number of an owner, a new one if need be.
func (t *ownerTable) intern(name string) uint16 {
	i, ok := t.byName[name]
	if ok {
		return i
	}
	if last := len(t.free) - 1; last >= 0 {
		i = t.free[last]
		t.free = t.free[:last]
	} else if len(t.list) < manyOwners {
		i = uint16(len(t.list))
		t.list = append(t.list, owner{})
	} else {
		return 0
	}
	t.list[i] = owner{name: name}
	t.byName[name] = i
	return i
}

// count books messages that come, or go. The number of an owner without any is free
// again; his name can still be read until the next intern.
func (t *ownerTable) count(i uint16, messages int, bytes int64) {
	o := &t.list[i]
	o.n += messages
	if o.bytes += bytes; o.n == 0 && i != 0 {
		delete(t.byName, o.name)
		t.free = append(t.free, i)
	}
}

// empty takes all counts back, before all are counted again.
func (t *ownerTable) empty() {
	for i := range t.list {
		t.list[i].n, t.list[i].bytes = 0, 0
	}
}
