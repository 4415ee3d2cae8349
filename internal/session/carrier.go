package session

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/bus"
)

// Carrier knows what the module at hand can carry, and remembers it on disk, so
// that a payload it cannot carry is refused when it is published, with the
// module offline or not there too. Before any module was identified it accepts
// what the best one carries. It is safe for concurrent use.
type Carrier struct {
	path string
	most int
	log  *zap.Logger

	mu   sync.Mutex
	caps air.Capabilities
}

// NewCarrier reads what the last module could carry from dir. maxPayload
// overrides the firmware's limit; 0 does not. A file that cannot be read is as
// good as none: the module will be identified again.
func NewCarrier(dir string, maxPayload int, log *zap.Logger) *Carrier {
	c := &Carrier{path: filepath.Join(dir, "modem.json"), most: maxPayload, log: log, caps: air.Best()}
	data, err := os.ReadFile(c.path)
	var caps air.Capabilities
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		log.Warn("what the module can carry could not be read", zap.Error(err))
	case json.Unmarshal(data, &caps) != nil || caps.MaxPayload <= 0:
		log.Warn("what the module can carry is damaged on disk; it will be found out again", zap.String("path", c.path))
	default:
		c.caps = caps
	}
	c.caps = c.caps.Override(maxPayload)
	return c
}

// Check says why the module cannot carry a payload, as a *bus.CarryError, or nil.
func (c *Carrier) Check(_ string, payload []byte) error {
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
func (c *Carrier) Remember(caps air.Capabilities) {
	c.mu.Lock()
	same := c.caps == caps.Override(c.most)
	c.caps = caps.Override(c.most)
	c.mu.Unlock()
	if _, err := os.Stat(c.path); same && err == nil {
		return
	}
	if err := writeFile(c.path, caps); err != nil {
		c.log.Warn("what the module can carry could not be stored", zap.Error(err))
	}
}

// writeFile replaces a small file in one step.
func writeFile(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	temp := path + ".new"
	if err := os.WriteFile(temp, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
