package access

import (
	"sync"
	"sync/atomic"
)

// Control is the rules in effect. Its methods may be called by any goroutine; nil binds
// nobody.
type Control struct {
	own   uint32
	names func() (product, device string)

	table atomic.Pointer[table]
	rates rates

	mu      sync.Mutex
	changed chan struct{}
}

// table is a set of rules, with the names of one device in them. It never changes.
type table struct {
	product, device string
	rules           []*Rule
	publish         [][]string // expanded, by rule
	subscribe       [][]string
}

// New returns a Control without a rule, for a daemon of this uid. names tells the
// device's names, "" what is not known.
func New(own uint32, names func() (product, device string)) *Control {
	c := &Control{own: own, names: names, changed: make(chan struct{})}
	c.rates.init()
	c.table.Store(&table{})
	return c
}

// Set puts rules into effect, in their order, in place of those before. What is open
// is told by Changed.
func (c *Control) Set(rules []Rule) {
	list := make([]*Rule, len(rules))
	for i, r := range rules {
		r.number = i + 1
		list[i] = &r
	}
	product, device := c.names()
	c.table.Store(compile(list, product, device))
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Changed returns what is closed when other rules are put into effect. Ask it before
// the rules, and nothing is missed.
func (c *Control) Changed() <-chan struct{} {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

func compile(rules []*Rule, product, device string) *table {
	t := &table{product: product, device: device, rules: rules}
	for _, r := range rules {
		t.publish = append(t.publish, expand(r.Publish, product, device))
		t.subscribe = append(t.subscribe, expand(r.Subscribe, product, device))
	}
	return t
}

// now returns the table in effect, with the present names in it.
func (c *Control) now() *table {
	t := c.table.Load()
	if len(t.rules) == 0 {
		return t
	}
	product, device := c.names()
	if product == t.product && device == t.device {
		return t
	}
	fresh := compile(t.rules, product, device)
	if !c.table.CompareAndSwap(t, fresh) {
		return c.table.Load() // other rules were put into effect meanwhile
	}
	return fresh
}

// Of returns what somebody may do, as of now.
func (c *Control) Of(w Who) Rights {
	if c == nil {
		return Rights{who: w}
	}
	t := c.now()
	if len(t.rules) == 0 || w.Known && (w.UID == 0 || w.UID == c.own) {
		return Rights{who: w}
	}
	for i, r := range t.rules {
		if r.is(w) {
			return Rights{who: w, bound: true, rule: r, publish: t.publish[i], subscribe: t.subscribe[i]}
		}
	}
	return Rights{who: w, bound: true}
}
