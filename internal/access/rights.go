package access

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"airbridged/internal/topic"
)

// Rights is what somebody may do. The zero value may do everything.
type Rights struct {
	who                Who
	bound              bool  // by rules
	rule               *Rule // that is his; nil: there is none
	publish, subscribe []string
}

// Denied is why something may not be done.
type Denied struct {
	Detail string        // names the rule
	Hint   string        // what can be done
	After  time.Duration // when it can be tried again, where that helps; else 0
}

func (d *Denied) Error() string { return d.Detail }

// Explains is the hint of what a rule refuses.
const Explains = `"airbridgectl access check" tells which rule decides; the rules are [[access]] in the configuration`

// none is the refusal of somebody for whom there is no rule; nil: there is one, or none
// is needed.
func (r Rights) none() *Denied {
	if !r.bound || r.rule != nil {
		return nil
	}
	return &Denied{
		Detail: fmt.Sprintf("no access rule is for %s, and who has none may do nothing", r.who),
		Hint:   Explains,
	}
}

// Bound says whether rules bind him.
func (r Rights) Bound() bool { return r.bound }

// Any says why he may do nothing at all, as *Denied; nil: there is something.
func (r Rights) Any() error {
	if d := r.none(); d != nil {
		return d
	}
	return nil
}

// Publish says why he may not publish to a topic, as *Denied, or nil.
func (r Rights) Publish(name string) error {
	if err := r.Any(); err != nil || !r.bound {
		return err
	}
	if slices.ContainsFunc(r.publish, func(f string) bool { return topic.Match(f, name) }) {
		return nil
	}
	return &Denied{
		Detail: r.rule.title() + " does not let it publish there",
		Hint:   r.allowed("publish to", r.publish),
	}
}

// Subscribe says why he may not have a filter, as *Denied, or nil. He may not where it
// takes in a topic that no single filter of his rule does.
func (r Rights) Subscribe(filter string) error {
	if err := r.Any(); err != nil || !r.bound {
		return err
	}
	switch {
	case topic.IsLocal(filter):
		return r.local(filter)
	case filter == "$SYS" || strings.HasPrefix(filter, "$SYS/"): // there is nothing in it
		return nil
	case slices.ContainsFunc(r.subscribe, func(f string) bool { return topic.Covers(f, filter) }):
		return nil
	}
	return &Denied{
		Detail: r.rule.title() + " does not let it subscribe to that, or not to all of it",
		Hint:   r.allowed("subscribe to", r.subscribe),
	}
}

// local judges filters of the daemon's own topics: $airbridge/state is the status, and
// so on.
func (r Rights) local(filter string) error {
	need := Status | Events
	switch filter {
	case topic.LocalPrefix + "state":
		need = Status
	case topic.LocalPrefix + "events":
		need = Events
	}
	return r.May(need)
}

// May says why he may not see something, as *Denied, or nil.
func (r Rights) May(see See) error {
	if err := r.Any(); err != nil || !r.bound || r.rule.See&see == see {
		return err
	}
	words := (see &^ r.rule.See).Words()
	return &Denied{
		Detail: r.rule.title() + " does not let it see " + strings.Join(words, " and "),
		Hint:   `the rule needs "` + strings.Join(words, `", "`) + `" in its list see; ` + Explains,
	}
}

// DropsAll says why he may drop nothing but his own messages, as *Denied, or nil.
func (r Rights) DropsAll() error {
	if err := r.Any(); err != nil || !r.bound || r.rule.DropAll {
		return err
	}
	return &Denied{Detail: r.rule.title() + " does not let it drop messages of others", Hint: `the rule needs drop = "all"; ` + Explains}
}

// Free says why he may not do what the rules have no word for, as *Denied, or nil.
func (r Rights) Free() error {
	if err := r.Any(); err != nil || !r.bound {
		return err
	}
	return &Denied{Detail: "where there are access rules, this is for root and the daemon's user", Hint: "ask as root, e.g. with sudo"}
}

// words for priorities, the highest first.
var words = [...]string{"high", "normal", "low"}

// Priority says why he may not ask for a priority (0 is high, 1 normal, 2 low), as
// *Denied, or nil.
func (r Rights) Priority(asked uint8) error {
	if err := r.Any(); err != nil || !r.bound || asked >= r.rule.Priority {
		return err
	}
	return &Denied{
		Detail: fmt.Sprintf("%s does not let it ask for priority %s", r.rule.title(), words[asked]),
		Hint:   fmt.Sprintf("ask for %s at most; %s", words[r.rule.Priority], Explains),
	}
}

// Usual is the priority of a message of his that asks for none.
func (r Rights) Usual() uint8 {
	if r.rule == nil {
		return 1
	}
	return max(1, r.rule.Priority)
}

// Payload says why a message of his may not have so many bytes, as *Denied, or nil.
func (r Rights) Payload(size int) error {
	if err := r.Any(); err != nil || !r.bound || r.MaxPayload() == 0 || size <= r.MaxPayload() {
		return err
	}
	return &Denied{
		Detail: fmt.Sprintf("the payload has %d bytes, and %s lets it have %d", size, r.rule.title(), r.MaxPayload()),
		Hint:   "send it in parts; " + Explains,
	}
}

// MaxPayload is how many bytes a payload of his may have; 0: what the module carries.
func (r Rights) MaxPayload() int {
	if r.rule == nil {
		return 0
	}
	return r.rule.MaxPayload
}

// Share is how much of the outbox he may have, in percent; 100: all of it.
func (r Rights) Share() int {
	if r.rule == nil {
		return 100
	}
	return r.rule.share()
}

// Title names the rule that decides, in a sentence; "": none binds him, or there is
// none for him.
func (r Rights) Title() string {
	if r.rule == nil {
		return ""
	}
	return r.rule.title()
}

// Who is whose rights they are.
func (r Rights) Who() Who { return r.who }

// allowed lists what a rule allows, as a hint.
func (r Rights) allowed(verb string, filters []string) string {
	const most = 4
	list := strings.Join(filters[:min(len(filters), most)], ", ")
	switch {
	case len(filters) == 0:
		list = "nothing"
	case len(filters) > most:
		list += ", and more"
	}
	return "it may " + verb + " " + list + "; " + Explains
}
