package access

import (
	"strconv"
	"strings"
)

// Rule is one [[access]] table. Exactly one of UID, GID and Client says for whom.
type Rule struct {
	Name   string // shown in refusals; "": its number
	UID    *uint32
	GID    *uint32 // for everybody in the group
	Client string  // on TCP

	Publish   []string // filters; ${productKey} and ${deviceName} expand
	Subscribe []string // the same

	Priority   uint8   // the highest that it may ask for: 0 high, 1 normal, 2 low
	Rate       float64 // messages a second of each user; 0: as many as come
	Share      int     // of the outbox, for each user, in percent; 0: all of it
	MaxPayload int     // bytes; 0: what the module carries
	DropAll    bool    // messages of others, too
	See        See

	number int // in the order of the files, from 1 on
}

// See is a set of what a program may see beyond its own messages.
type See uint8

// What there is to see.
const (
	Status See = 1 << iota
	Events
	Trace
	Messages // of others
)

// sights are the words for it, in the configuration and in refusals.
var sights = []struct {
	see  See
	word string
}{{Status, "status"}, {Events, "events"}, {Trace, "trace"}, {Messages, "messages"}}

// ParseSee returns what a word stands for; 0: nothing.
func ParseSee(word string) See {
	for _, s := range sights {
		if s.word == word {
			return s.see
		}
	}
	return 0
}

// Words are the words of the configuration for what is in the set.
func (s See) Words() []string {
	list := []string{}
	for _, one := range sights {
		if s&one.see != 0 {
			list = append(list, one.word)
		}
	}
	return list
}

// is says whether the rule is for somebody.
func (r *Rule) is(w Who) bool {
	switch {
	case r.UID != nil:
		return w.Known && w.UID == *r.UID
	case r.GID != nil:
		return w.in(*r.GID)
	}
	return !w.Known && w.Client != "" && w.Client == r.Client
}

// title names the rule in a sentence.
func (r *Rule) title() string {
	if r.Name != "" {
		return `access rule "` + r.Name + `"`
	}
	return "access rule " + strconv.Itoa(r.number)
}

// share is the rule's share of an amount; everything, where it has none.
func (r *Rule) share() int {
	if r.Share == 0 {
		return 100
	}
	return r.Share
}

// expand fills the device's names into filters. Where the device is not known yet, any
// may be it.
func expand(filters []string, product, device string) []string {
	list := make([]string, len(filters))
	for i, f := range filters {
		levels := strings.Split(f, "/")
		for j, level := range levels {
			if device == "" && strings.Contains(level, "${deviceName}") || product == "" && strings.Contains(level, "${productKey}") {
				levels[j] = "+"
			}
		}
		list[i] = strings.NewReplacer("${productKey}", product, "${deviceName}", device).Replace(strings.Join(levels, "/"))
	}
	return list
}
