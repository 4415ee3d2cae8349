package session

import (
	"fmt"
	"sync/atomic"
	"time"

	"airbridged/internal/recovery"
)

// link is the MQTT session with the cloud.
type link struct {
	loggedIn bool      // MCONNECT was acknowledged and nothing has torn it down since
	since    time.Time // when it was
	shorts   int       // sessions in a row that the cloud closed right after CONNACK

	doubted bool      // a block went wrong: what the module said in it may be true
	sounded time.Time // when it was asked about that last

	kicked atomic.Bool // the cloud said that another client took the device's place; the module's reader sets it
}

// opened says that the cloud accepted a login.
func (l *link) opened(now time.Time) {
	l.loggedIn, l.since = true, now
	l.kicked.Store(false)
}

// over says that the session is torn down, or as good as that.
func (l *link) over() { l.loggedIn = false }

// failed takes in why a session ended, or did not begin.
func (l *link) failed(c recovery.Cause) {
	if c != recovery.Closed && c != recovery.Kicked {
		l.shorts = 0
	}
}

// settled says that the session has been online for stable_after.
func (l *link) settled() { l.shorts = 0 }

// A CLOSED so soon after CONNACK counts as being thrown out, and so many in a row as
// the doing of another client.
const (
	shortSession  = 10 * time.Second
	shortSessions = 3
)

// closed tells an ordinary CLOSED from being kicked: the cloud says so on
// /ext/notify, or closes session after session right after it accepted them. One that
// comes right behind a request of ours may be the answer to that, and says nothing
// about another client.
func (l *link) closed(text string, now time.Time, behindRequest bool) *recovery.Failure {
	err := fmt.Errorf("module reports %s", text)
	if l.kicked.Swap(false) {
		return &recovery.Failure{Cause: recovery.Kicked, Err: err}
	}
	if l.shorts++; behindRequest || now.Sub(l.since) >= shortSession {
		l.shorts = 0
	}
	if l.shorts >= shortSessions {
		return &recovery.Failure{Cause: recovery.Kicked, Err: fmt.Errorf("%w right after the login, %d times in a row", err, l.shorts)}
	}
	return &recovery.Failure{Cause: recovery.Closed, Err: err}
}
