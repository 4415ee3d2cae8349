package session

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/bus"
	"airbridged/internal/durable"
)

// carrierFile remembers what the module can carry.
const carrierFile = "modem.json"

// PayloadLimits knows what the module at hand can carry, and remembers it on disk, so
// that a payload it cannot carry is refused when it is published, with the
// module offline or not there too. Before any module was identified it accepts
// what the best one carries. It is safe for concurrent use.
type PayloadLimits struct {
	note durable.Note[air.Capabilities]
	most int
	log  *zap.Logger

	mu    sync.Mutex
	caps  air.Capabilities
	saved bool // caps are on disk
}

// NewPayloadLimits reads what the last module could carry from the state directory.
// maxPayload overrides the firmware's limit; 0 does not. A file that cannot be
// read is as good as none: the module will be identified again.
func NewPayloadLimits(state durable.Directory, maxPayload int, log *zap.Logger) *PayloadLimits {
	c := &PayloadLimits{note: durable.NewNote[air.Capabilities](state, carrierFile), most: maxPayload, log: log, caps: air.Best()}
	caps, err := c.note.Load()
	if err == nil && caps.MaxPayload <= 0 {
		err = fmt.Errorf("%s is %w", c.note.Path(), durable.ErrDamaged)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		log.Warn("what the module can carry could not be read; it is found out again", zap.Error(err))
	default:
		c.caps, c.saved = caps, true
	}
	c.caps = c.caps.Override(maxPayload)
	return c
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

// Remember takes in what the module that was just identified can carry. Not
// being able to store it only means that it is asked again after a restart.
func (c *PayloadLimits) Remember(caps air.Capabilities) {
	c.mu.Lock()
	if c.saved && c.caps == caps.Override(c.most) {
		c.mu.Unlock()
		return
	}
	c.caps = caps.Override(c.most)
	c.mu.Unlock()
	err := c.note.Save(caps)
	if err != nil {
		c.log.Warn("what the module can carry could not be stored", zap.Error(err))
	}
	c.mu.Lock()
	c.saved = err == nil
	c.mu.Unlock()
}
