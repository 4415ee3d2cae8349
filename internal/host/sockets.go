package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"go.uber.org/zap"
)

// Socket is something that the daemon listens on. One that a service manager
// opened is taken as it is: its path, mode and group are the manager's business,
// and it outlives the process.
type Socket struct {
	Name    string // of an inherited one (systemd.socket(5), FileDescriptorName=)
	Key     string // of the configuration
	Address string // that the configuration says; "": it is switched off
	Unix    bool   // an inherited one has to be a Unix socket
	TCP     bool   // it is TCP beside a Unix socket of the same name: an inherited one is whichever it is
	// Open opens one that was not inherited.
	Open func() (net.Listener, error)
	// Spare says what to do where the process may have no such socket, and makes
	// that a warning: it runs without. "": that is an error.
	Spare string
}

// Sockets are the open ones.
type Sockets struct {
	served   map[string][]net.Listener
	unserved []net.Listener // inherited, and nobody here answers on them
}

// OpenSockets takes the inherited sockets and opens what is missing.
func OpenSockets(log *zap.Logger, wanted ...Socket) (*Sockets, error) {
	given, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("inherited sockets: %w", err)
	}
	s := &Sockets{served: make(map[string][]net.Listener)}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		s.take(name, given[name], wanted, log)
	}
	for _, w := range wanted {
		if err := s.complete(w, log); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// take sorts the inherited sockets of one name.
func (s *Sockets) take(name string, list []net.Listener, wanted []Socket, log *zap.Logger) {
	i := slices.IndexFunc(wanted, func(w Socket) bool { return w.Name == name })
	if both := slices.IndexFunc(wanted, func(w Socket) bool { return w.Name == name && w.TCP }); both >= 0 {
		tcp := slices.DeleteFunc(slices.Clone(list), func(l net.Listener) bool { return !isTCP(l) })
		if len(tcp) > 0 {
			s.takeAs(wanted[both], tcp, log)
		}
		if list = slices.DeleteFunc(list, isTCP); len(list) == 0 {
			return
		}
	}
	if i < 0 {
		s.turnAway(name, list, "this version has no use for it: disable its socket unit", log)
		return
	}
	s.takeAs(wanted[i], list, log)
}

func isTCP(l net.Listener) bool {
	_, ok := l.(*net.TCPListener)
	return ok
}

// turnAway keeps inherited sockets that nobody answers on.
func (s *Sockets) turnAway(name string, list []net.Listener, why string, log *zap.Logger) {
	s.unserved = append(s.unserved, list...)
	log.Warn("an inherited socket is not served, connections to it are closed", zap.String("name", name), zap.String("detail", why))
}

// takeAs takes inherited sockets for one that is wanted.
func (s *Sockets) takeAs(w Socket, list []net.Listener, log *zap.Logger) {
	if w.Address == "" {
		s.turnAway(w.Name, list, w.Key+" is empty: mask its socket unit, or set "+w.Key, log)
		return
	}
	s.served[w.slot()] = list
	for _, l := range list {
		if l.Addr().String() != w.Address {
			log.Warn("the inherited socket is used, not the configured one",
				zap.String("name", w.Name), zap.String("socket", l.Addr().String()), zap.String("detail", w.Key+" is "+w.Address))
		}
	}
}

// slot is where the open sockets of one are filed.
func (w Socket) slot() string {
	if w.TCP {
		return w.Name + " tcp"
	}
	return w.Name
}

// complete opens what was not inherited.
func (s *Sockets) complete(w Socket, log *zap.Logger) error {
	for _, l := range s.served[w.slot()] {
		if _, ok := l.(*net.UnixListener); w.Unix && !ok {
			return fmt.Errorf("inherited socket %s is %s and no Unix socket: give its socket unit a path in ListenStream=", w.Name, l.Addr())
		}
	}
	if len(s.served[w.slot()]) > 0 || w.Address == "" {
		return nil
	}
	l, err := w.Open()
	switch {
	case w.Spare != "" && errors.Is(err, syscall.EAFNOSUPPORT): // the sandbox of the unit file
		log.Warn(w.Name+" are not served", zap.Error(err), zap.String("detail", "this process may have no network sockets: "+w.Spare))
		return nil
	case err != nil:
		return err
	}
	s.served[w.slot()] = append(s.served[w.slot()], l)
	return nil
}

// Of are the open sockets of a name, TCP last.
func (s *Sockets) Of(name string) []net.Listener {
	return slices.Concat(s.served[name], s.served[Socket{Name: name, TCP: true}.slot()])
}

// Unserved are inherited ones that nobody here answers on.
func (s *Sockets) Unserved() []net.Listener { return s.unserved }

// Close is for sockets that nobody serves yet.
func (s *Sockets) Close() {
	for _, l := range slices.Concat(slices.Concat(slices.Collect(maps.Values(s.served))...), s.unserved) {
		_ = l.Close()
	}
}

// TurnAway closes every connection at once, until ctx ends: a program that waited
// for an answer would wait for ever, because the listening socket is there.
func TurnAway(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("inherited socket %s: %w", l.Addr(), err)
		}
		_ = c.Close()
	}
}
