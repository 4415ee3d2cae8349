package mqttd

import (
	"hash/maphash"
	"slices"
)

// echoes is how many of its own messages a client with "no local" is spared.
const echoes = 1024

// echo knows a client's own messages when the cloud sends them back. They come
// without a sender, so they are told by topic and payload, each as often as it was
// published; beyond the bound the oldest are forgotten, and come back.
type echo struct {
	all  bool // no local for every filter: a bridge
	some bool // for one at least
	seed maphash.Seed
	ring []uint64 // digests; 0: none
	at   int
}

func (e *echo) digest(topic string, payload []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(e.seed)
	_, _ = h.WriteString(topic)
	_ = h.WriteByte(0)
	_, _ = h.Write(payload)
	return h.Sum64() | 1
}

// published remembers a message.
func (e *echo) published(topic string, payload []byte) {
	if !e.all && !e.some {
		return
	}
	if e.ring == nil {
		e.seed, e.ring = maphash.MakeSeed(), make([]uint64, echoes)
	}
	e.ring[e.at] = e.digest(topic, payload)
	e.at = (e.at + 1) % echoes
}

// own says whether a message is one of them, and takes it off.
func (e *echo) own(topic string, payload []byte) bool {
	if e.ring == nil {
		return false
	}
	i := slices.Index(e.ring, e.digest(topic, payload))
	if i >= 0 {
		e.ring[i] = 0
	}
	return i >= 0
}
