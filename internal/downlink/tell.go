package downlink

import (
	"fmt"
	"slices"

	"go.uber.org/zap"

	"airbridged/internal/bus"
	"airbridged/internal/outbox"
)

// about is what warnings of the disk are about.
const about = "downlink.dir"

// hints are what to do about each warning of the disk.
var hints = map[bus.WarningCode]string{
	bus.StoreReadOnly: "the file system of downlink.dir is read-only: look at the kernel log, and mount it writable; what comes down is handed to programs that are connected meanwhile, and not kept",
	bus.StoreGone:     "downlink.dir was removed, renamed or mounted over while the daemon runs: bring it back; what comes down is handed to programs that are connected meanwhile, and not kept",
	bus.StoreFailing:  "free space on the file system of downlink.dir, or look at the kernel log; what comes down is handed to programs that are connected meanwhile, and not kept",
}

// note logs what the queue has to tell. What lasts is in the warnings.
func (s *Store) note() {
	for _, n := range s.queue.Notes() {
		level := zap.WarnLevel
		if n.Kind == outbox.NoteDiskRecovered {
			level = zap.InfoLevel
		}
		s.log.Log(level, "kept messages", zap.String("code", n.Kind), zap.String("detail", n.Text), zap.Time("at", n.At))
	}
	s.tell()
}

// tell brings what lasts into the status.
func (s *Store) tell() {
	if s.board == nil {
		return
	}
	s.tellDisk()
	for _, b := range s.sorted() {
		s.tellFull(b)
	}
}

func (s *Store) tellDisk() {
	ended := []bus.WarningCode{bus.StoreReadOnly, bus.StoreGone, bus.StoreFailing}
	show := func(code bus.WarningCode, detail string) {
		s.board.SetWarning(bus.Warning{Code: code, About: about, Detail: about + ": " + detail, Hint: hints[code]})
		ended = slices.DeleteFunc(ended, func(c bus.WarningCode) bool { return c == code })
	}
	for _, w := range s.queue.Warnings() {
		show(bus.WarningCode(w.Code), w.Detail)
	}
	s.mu.Lock()
	err := s.cardErr
	if s.cardsOff != nil {
		err = s.cardsOff
	}
	s.mu.Unlock()
	if err != nil {
		show(bus.StoreFailing, "a subscription cannot be written: "+err.Error())
	}
	for _, code := range ended {
		s.board.ClearWarning(code, about)
	}
}

// tellFull warns of a subscription that has lost messages to the bound.
func (s *Store) tellFull(b *Box) {
	s.mu.Lock()
	c, over, warned, waiting, gone := b.card, b.over && !b.gone, b.warned, len(b.list), b.gone
	b.warned = over
	s.mu.Unlock()
	name := b.about()
	switch {
	case over && !warned:
		text := fmt.Sprintf("the subscription %s of %s does not take its messages: %d wait, and the oldest are given up for newer ones ([downlink])", name, orNobody(c.User), waiting)
		s.log.Warn("kept messages are given up", zap.String("subscription", name), zap.String("user", c.User), zap.Int("waiting", waiting))
		s.board.SetWarning(bus.Warning{
			Code: bus.DownlinkFull, About: name, Detail: text,
			Hint: "start its program; or have it dropped: airbridgectl subscriptions drop; or raise max_messages or max_bytes in [downlink]",
		})
	case warned && !over && !gone:
		s.board.ClearWarning(bus.DownlinkFull, name)
	}
}

// about names a subscription in warnings.
func (b *Box) about() string { return b.card.Kind + " " + b.card.Name }

func orNobody(user string) string {
	if user == "" {
		return "nobody"
	}
	return user
}
