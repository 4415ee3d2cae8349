package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/recovery"
)

// How an online session is watched: what the module says of its own accord can get
// lost, and a dead path says nothing, so the module is asked too, again and again: that
// costs neither radio nor cloud.

// cellChange is how long a module may be without a network while it moves from
// one cell to the next, before its registration counts as lost.
const cellChange = 3 * time.Second

// watch is when an online session looks after its module: polls, and a beat halfway
// between two of them. One ticker, so that the two never fall due together.
type watch struct {
	*time.Ticker
	halfway bool // the next tick is a beat
}

func newWatch(statusPoll time.Duration) *watch {
	return &watch{Ticker: time.NewTicker(statusPoll / 2), halfway: true}
}

// watched does what a tick of the watch is for.
func (s *Session) watched(ctx context.Context, w *watch, stable <-chan time.Time) error {
	beat := w.halfway
	w.halfway = !beat
	if beat {
		return s.beat(ctx)
	}
	return s.poll(ctx, stable)
}

// beat asks a module that has said nothing for half the time between two polls whether
// it is there, so that one that hangs is found out soon.
func (s *Session) beat(ctx context.Context) error {
	if time.Since(s.port.modem.LastByte()) < s.o.Recovery.StatusPoll*2/5 {
		return nil
	}
	if err := s.port.modem.Alive(ctx); err != nil && !errors.Is(err, atengine.ErrRefused) {
		return s.port.unanswered(recovery.Closed, err)
	}
	return nil
}

// errSilentlyGone is why a session ended whose end nobody told of.
var errSilentlyGone = errors.New("AT+MQTTSTATU says the session is gone, and no CLOSED was seen")

// poll asks the module for the state of the link, because CLOSED can get lost
// (Air724 before V838 never sent it), and of its registration, and refreshes the
// signal.
func (s *Session) poll(ctx context.Context, stable <-chan time.Time) error {
	select {
	case <-stable: // due at the same moment by default: what the poll finds is no failure of the past
		s.settled()
	default:
	}
	if gone := s.linkGone(ctx, errSilentlyGone); gone != nil {
		return gone
	}
	s.suspects.alive(time.Now())
	s.filters.due = true // one that was set aside may be tried again by now
	if err := s.checkRegistration(ctx); err != nil {
		return err
	}
	s.readSignal(ctx)
	s.readClock(ctx)
	s.books.silent()
	if token, ok := s.device.store.Token(s.device.names); ok && s.o.Cloud.HTTPSAuth {
		s.show.token(&token)
	}
	return nil
}

// lost looks at what the module said of its own accord since the session was
// opened, and at the port itself.
func (s *Session) lost() error {
	if s.port.gone() {
		return failed(recovery.PortMissing, s.port.err)
	}
	off := s.port.wentOff()
	for _, e := range s.port.news() {
		switch e.Kind {
		case air.Closed:
			return s.link.closed(e.Text, time.Now(), s.suspects.near(time.Now(), true))
		case air.BearerLost:
			s.network.attached = false
			return &recovery.Failure{Cause: recovery.BearerFailed, Hint: "the network took the data bearer away; opening it anew", Err: fmt.Errorf("module reports %s", e.Text)}
		case air.PowerDown:
			if off != "" {
				s.port.off = off
				return offFailure(off, nil)
			}
			return &recovery.Failure{Cause: recovery.Rebooted, Err: fmt.Errorf("module reports %s", e.Text)}
		case air.Rebooted:
			return &recovery.Failure{Cause: recovery.Rebooted, Err: fmt.Errorf("module reports %s", e.Text)}
		case air.SIMRemoved:
			s.network.attached = false
			return &recovery.Failure{Cause: recovery.SIMMissing, Err: fmt.Errorf("module reports %s", e.Text)}
		case air.ServiceLost:
			s.network.noService = true
		case air.ServiceBack:
			s.network.noService = false
		case air.Doubtful:
			s.link.doubted = true
		}
	}
	if s.port.forgot() {
		return &recovery.Failure{Cause: recovery.Rebooted, Err: errors.New("the module echoes commands again, so it has lost its settings")}
	}
	return nil
}

// soundEvery is how often the module is asked what it may have said in a block that
// went wrong; a line on which they always do is left to the poll.
const soundEvery = 5 * time.Second

// sound asks the module for what a damaged block may have hidden: the end of the
// session, or a restart. What stood in it is believed in no case.
func (s *Session) sound(ctx context.Context) error {
	doubted := s.link.doubted
	s.link.doubted = false
	if !doubted || time.Since(s.link.sounded) < soundEvery {
		return nil
	}
	s.link.sounded = time.Now()
	return s.linkGone(ctx, errors.New("AT+MQTTSTATU says the session is gone; a damaged line may have hidden why"))
}

// linkGone asks the module whether a refusal means that the session is gone, and
// returns the Failure if so.
func (s *Session) linkGone(ctx context.Context, refusal error) error {
	switch link, err := s.port.modem.Link(ctx); {
	case err != nil:
		return s.port.unanswered(recovery.Closed, err)
	case link != air.LinkUp:
		// One command more, so that a restart shows by its echo: the first command
		// after it trains the baud rate, and is not echoed yet.
		s.readSignal(ctx)
		if why := s.lost(); why != nil {
			return why
		}
		return &recovery.Failure{Cause: recovery.Closed, Err: refusal}
	}
	return nil
}

// checkRegistration asks the module whether the network still serves it, because
// only some say so themselves (+NO Service) and the MQTT link looks well until its
// keep-alive runs out. A module that never said yes in this session is not
// believed when it says no: it may mean another network than the one in use.
func (s *Session) checkRegistration(ctx context.Context) error {
	told := s.network.noService
	s.network.noService = false
	var state air.NetworkState
	for try := range 2 {
		var err error
		state, err = s.port.modem.NetworkState(ctx)
		switch {
		case air.Undecided(err):
			return nil
		case err != nil:
			return s.port.unanswered(recovery.Closed, err)
		case state.Registered():
			s.network.registers = true
			s.show.registered(true)
			return nil
		case !told && (!s.network.registers || state.Partly()):
			return nil // the session says that there is packet data
		case try == 0:
			if err := s.pause(ctx, cellChange); err != nil {
				return err
			}
		}
	}
	s.network.attached = false
	s.show.registered(false)
	f := networkFailure(state)
	f.Err = fmt.Errorf("the network no longer serves the module: %w", f.Err)
	return f
}

// readSignal refreshes the signal in status and metrics. Not knowing it is no
// reason to stop, so an error leaves it unknown.
func (s *Session) readSignal(ctx context.Context) {
	dbm, err := s.port.modem.Signal(ctx)
	if err != nil {
		dbm = nil
	}
	s.network.signal = dbm
	s.show.signal(dbm)
}

// readClock refreshes the network's time in status, when it is due. What the module
// does not know leaves the last time that it knew.
func (s *Session) readClock(ctx context.Context) {
	if !s.network.clock.due(time.Now()) {
		return
	}
	told, err := s.port.modem.NetworkTime(ctx)
	now, known := time.Now(), err == nil && !told.IsZero()
	s.network.clock.told(known, now)
	if known {
		s.show.networkTime(told, now)
	}
}
