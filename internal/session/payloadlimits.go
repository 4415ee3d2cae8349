package session

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"sync"

	"go.uber.org/zap"

	"airbridged/internal/air"
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
// what the best one carries. It is safe for concurrent use.
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

// Check says why the module cannot carry a payload, as a *bus.CarryError, or nil.
func (c *PayloadLimits) Check(_ string, payload []byte) error {
	c.mu.Lock()
	caps := c.caps
	c.mu.Unlock()
	var cannot *air.PayloadError
	if err := caps.Check(payload); errors.As(err, &cannot) {
		return &bus.CarryError{
			Reason: cannot.Error(), TooLarge: cannot.TooLarge,
			Size: cannot.Size, Limit: cannot.Limit, Offset: cannot.Offset, Byte: cannot.Byte,
		}
	}
	return nil
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
