package outbox

// topicTable gives every topic that has live messages a number.
type topicTable struct {
	list   []topicEntry
	byName map[string]uint32
	free   []uint32
}

type topicEntry struct {
	chain
	name string
	n    int // live messages
}

func newTopicTable() topicTable { return topicTable{byName: map[string]uint32{}} }

func (t *topicTable) get(name string) *topicEntry {
	if i, ok := t.byName[name]; ok {
		return &t.list[i]
	}
	return nil
}

// intern returns the number of a topic, a new one if need be.
func (t *topicTable) intern(name string) uint32 {
	i, ok := t.byName[name]
	if ok {
		return i
	}
	if last := len(t.free) - 1; last >= 0 {
		i = t.free[last]
		t.free = t.free[:last]
	} else {
		i = uint32(len(t.list))
		t.list = append(t.list, topicEntry{})
	}
	t.list[i] = topicEntry{chain: emptyChain, name: name}
	t.byName[name] = i
	return i
}

// internBytes is intern for a name in a buffer, which it copies if it is new.
func (t *topicTable) internBytes(name []byte) uint32 {
	if i, ok := t.byName[string(name)]; ok {
		return i
	}
	return t.intern(string(name))
}

// release frees the number of a topic without live messages. Its name can still
// be read until the next intern.
func (t *topicTable) release(i uint32) {
	delete(t.byName, t.list[i].name)
	t.free = append(t.free, i)
}
