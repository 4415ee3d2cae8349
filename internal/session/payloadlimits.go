package session

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/batch"
	"airbridged/internal/bus"
	"airbridged/internal/durable"
)

const (
	// carrierFile remembers what the module can carry.
	carrierFile = "modem.json"
	// learnedFile remembers, by firmware, which payloads modules were found to refuse.
	learnedFile = "payload-limits.json"
	// learnedMost bounds how many firmwares are remembered.
	learnedMost = 32
)

// PayloadLimits knows what the module at hand can carry, and remembers it on disk, so
// that a payload it cannot carry is refused when it is published, with the
// module offline or not there too. Before any module was identified it accepts
// what the best one carries. It knows the [[batch]] rules, too: a payload is judged
// in the form in which it travels. It is safe for concurrent use.
type PayloadLimits struct {
	note    durable.Note[air.Capabilities]
	learned durable.Note[map[string]int]
	most    int
	log     *zap.Logger

	mu      sync.Mutex
	found   air.Capabilities // of the module, as its firmware says
	caps    air.Capabilities // with what was learned and configured
	refused map[string]int   // by firmware: the shortest payload that was refused, in bytes on the wire
	saved   bool             // found is on disk
	rules   func(deviceName string) batch.Rules
	name    string // of the device; empty: not known yet

	current atomic.Pointer[batch.Rules] // of that device
}

// NewPayloadLimits reads what the last module could carry from the state directory.
// maxPayload overrides the firmware's limit; 0 does not. A file that cannot be
// read is as good as none: the module will be identified again.
func NewPayloadLimits(state durable.Directory, maxPayload int, log *zap.Logger) *PayloadLimits {
	c := &PayloadLimits{
		note: durable.NewNote[air.Capabilities](state, carrierFile), learned: durable.NewNote[map[string]int](state, learnedFile),
		most: maxPayload, log: log, found: air.Best(),
	}
	caps, err := c.note.Load()
	if err == nil && caps.MaxPayload <= 0 {
		err = fmt.Errorf("%s is %w", c.note.Path(), durable.ErrDamaged)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		log.Warn("what the module can carry could not be read; it is found out again", zap.Error(err))
	default:
		c.found, c.saved = caps, true
	}
	if c.refused, err = c.learned.Load(); err != nil {
		c.refused = nil
		if !errors.Is(err, fs.ErrNotExist) {
			log.Warn("which payloads the module refuses could not be read; it is learned again", zap.Error(err))
		}
	}
	c.settle()
	return c
}

// settle works out what counts.
func (c *PayloadLimits) settle() {
	c.caps = c.found.Learned(c.refused[c.found.Firmware]).Override(c.most)
}

// Batch replaces the rules by which the readings of a topic travel together. They are
// asked for with the name of the device, empty while it is not known.
func (c *PayloadLimits) Batch(rules func(deviceName string) batch.Rules) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rules = rules
	c.settleRules()
}

// Batch is [PayloadLimits.Batch] of those that the session was given.
func (s *Session) Batch(rules func(deviceName string) batch.Rules) { s.o.Limits.Batch(rules) }

// belongTo settles whose name stands in the rules.
func (c *PayloadLimits) belongTo(deviceName string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name = deviceName
	c.settleRules()
}

func (c *PayloadLimits) settleRules() {
	if c.rules == nil {
		return
	}
	rules := c.rules(c.name)
	c.current.Store(&rules)
}

// Rule returns the rule of a topic; nil: its messages travel as they are.
func (c *PayloadLimits) Rule(topic string) *batch.Rule {
	rules := c.current.Load()
	if rules == nil {
		return nil
	}
	return rules.Of(topic)
}

// Check says why the module cannot carry a message, as a *bus.CarryError, or nil.
func (c *PayloadLimits) Check(topic string, payload []byte) error {
	c.mu.Lock()
	caps := c.caps
	c.mu.Unlock()
	rule := c.Rule(topic)
	if rule == nil {
		return orNil(carryError("", caps.Check(payload)))
	}
	if err := rule.Envelope.Fits(payload); err != nil {
		return &bus.CarryError{Unfit: true, Reason: err.Error()}
	}
	if rule.Binary() && !caps.Binary() {
		return &bus.CarryError{Form: true, Reason: fmt.Sprintf("this topic carries readings in one %s with compress = %q, which may be any bytes, and the module carries text only: set encoding = \"base64\" in its [[batch]] table", rule.Envelope, rule.Compress)}
	}
	if rule.Plain() {
		if err := carryError("", caps.Check(payload)); err != nil && !err.TooLarge {
			return err
		}
	}
	alone := fmt.Sprintf("alone in its %s envelope: ", rule.Envelope)
	var err *bus.CarryError
	encoded, n := rule.Pack([][]byte{payload}, func(b []byte, _ int) bool {
		err = carryError(alone, caps.Check(b))
		return err == nil
	})
	if n == 0 && err == nil {
		limit := rule.MaxBytes
		if limit == 0 || len(payload) > batch.MaxUnpacked {
			limit = batch.MaxUnpacked
		}
		return &bus.CarryError{TooLarge: true, Size: len(encoded), Limit: limit, Reason: fmt.Sprintf("%sit has %d bytes, and its [[batch]] rule allows %d", alone, len(encoded), limit)}
	}
	return orNil(err)
}

// orNil is an error that is nil where there is none.
func orNil(err *bus.CarryError) error {
	if err == nil {
		return nil
	}
	return err
}

// carryError translates what air says of a payload.
func carryError(where string, err error) *bus.CarryError {
	var cannot *air.PayloadError
	if !errors.As(err, &cannot) {
		return nil
	}
	return &bus.CarryError{
		Reason: where + cannot.Error(), TooLarge: cannot.TooLarge,
		Size: cannot.Size, Limit: cannot.Limit, Offset: cannot.Offset, Byte: cannot.Byte,
	}
}

// Remember takes in what the module that was just identified can carry, and returns it
// with what was learned of its firmware and what is configured. Not being able to store
// it only means that it is asked again after a restart.
func (c *PayloadLimits) Remember(found air.Capabilities) air.Capabilities {
	c.mu.Lock()
	known := c.saved && c.found == found
	c.found = found
	c.settle()
	caps := c.caps
	c.mu.Unlock()
	if known {
		return caps
	}
	err := c.note.Save(found)
	if err != nil {
		c.log.Warn("what the module can carry could not be stored", zap.Error(err))
	}
	c.mu.Lock()
	c.saved = err == nil
	c.mu.Unlock()
	return caps
}

// Learn takes in that the module at hand refuses payloads of that many bytes on the
// wire, and returns what it can carry now. Not being able to store it only means that it is learned again.
func (c *PayloadLimits) Learn(refused int) air.Capabilities {
	c.mu.Lock()
	learned := maps.Clone(c.refused)
	if learned == nil || len(learned) >= learnedMost {
		learned = make(map[string]int)
	}
	learned[c.found.Firmware] = refused
	c.refused = learned
	c.settle()
	caps := c.caps
	c.mu.Unlock()
	if err := c.learned.Save(learned); err != nil {
		c.log.Warn("which payloads the module refuses could not be stored", zap.Error(err))
	}
	return caps
}
