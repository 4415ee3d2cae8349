package recovery

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The table is the documentation of what happens after a failure: for each
// cause, what the first, second, … failure in a row leads to.
func TestNextIsThisTable(t *testing.T) {
	t.Parallel()
	type step struct {
		from   State
		cause  Cause
		h      History
		rung   Rung
		resume State
		pace   Pace
	}
	online := History{Attempt: 1, Climb: 1, Worked: true, Attached: true, FreshToken: true, ResetsLeft: 4}
	climb := func(n int) History { h := online; h.Attempt, h.Climb = n, n; return h }
	never := func(n int) History { h := climb(n); h.Worked = false; return h }
	cached := func(h History) History { h.FreshToken = false; return h }
	silent := func(d time.Duration, h History) History { h.Silent = d; return h }
	spent := func(n int) History { h := climb(n); h.ResetsLeft = 0; return h }
	lasting := func(d time.Duration, h History) History { h.Lasting = d; return h }
	card := func(h History) History { h.SIMWorked = true; return h }
	locked := func(h History) History { h.SIMLocked = true; return h }
	dark := func(h History) History { h.Dark = exitAfter; return h }
	for _, s := range []step{
		// A lost session: three new sessions, then the bearer, the radio, the module.
		{Online, Closed, climb(1), SessionRung, Connecting, BackOff},
		{Online, Closed, climb(3), SessionRung, Connecting, BackOff},
		{Online, Closed, climb(4), BearerRung, Attaching, BackOff},
		{Online, Closed, climb(6), RadioRung, Attaching, BackOff},
		{Online, Closed, climb(7), ResetRung, Probing, BackOff},
		{Online, Closed, spent(7), RadioRung, Attaching, BackOff},
		{Online, PubAckTimeout, climb(1), SessionRung, Connecting, BackOff},
		{Online, PubAckTimeout, climb(5), ResetRung, Probing, BackOff},
		// An answer that proves nothing: a new session at once, so that it meets no other
		// message; and should it go on and on, the module is not well.
		{Online, DoubtfulAnswer, climb(1), SessionRung, Connecting, AtOnce},
		{Online, DoubtfulAnswer, climb(6), SessionRung, Connecting, BackOff},
		{Online, DoubtfulAnswer, climb(7), BearerRung, Attaching, BackOff},
		{Online, DoubtfulAnswer, climb(9), ResetRung, Probing, BackOff},
		{Online, BearerFailed, climb(1), BearerRung, Attaching, BackOff},
		{Online, BearerFailed, climb(5), ResetRung, Probing, BackOff},

		// A network that is gone may come back by itself, before the radio is touched.
		{Online, NotRegistered, climb(1), NoRung, Attaching, Brisk},
		{Online, NotRegistered, climb(4), NoRung, Attaching, BackOff},
		{Attaching, NotRegistered, climb(2), RadioRung, Attaching, BackOff},
		{Connecting, NotRegistered, climb(2), NoRung, Attaching, Brisk},
		{Attaching, NotRegistered, climb(4), ResetRung, Probing, Brisk},
		{Attaching, NotRegistered, spent(4), RadioRung, Attaching, BackOff},

		// A network that refuses is a matter of its operator. What the module has noted of
		// the refusal is forgotten with the radio, and a reset does no more than that.
		{Attaching, NetworkDenied, never(1), NoRung, Attaching, BackOff},
		{Attaching, NetworkDenied, climb(50), RadioRung, Attaching, BackOff},
		{Online, NetworkDenied, climb(1), NoRung, Attaching, Brisk},
		{Online, NetworkDenied, climb(4), NoRung, Attaching, BackOff},

		// A module that restarted is probed at once; one that keeps restarting is not.
		{Online, Rebooted, climb(1), ReopenRung, Probing, AtOnce},
		{Attaching, Rebooted, climb(2), ReopenRung, Probing, Brisk},
		{Connecting, Rebooted, climb(11), ReopenRung, Probing, BackOff},

		// What the cloud drops because it comes too fast is no matter of the module: a
		// new session, and slower.
		{Online, Throttled, climb(1), SessionRung, Connecting, BackOff},
		{Online, Throttled, climb(50), SessionRung, Connecting, BackOff},

		// Out of step: resync, and if that does not help, reset and reopen.
		{Online, OutOfSync, climb(1), ResyncRung, Connecting, AtOnce},
		{Attaching, OutOfSync, climb(1), ResyncRung, Attaching, AtOnce},
		{Online, OutOfSync, climb(3), ResetRung, Probing, BackOff},
		{Online, OutOfSync, never(3), ResetRung, Probing, BackOff},
		{Online, OutOfSync, climb(4), ReopenRung, Probing, BackOff},

		// A module that does not answer gets its time to boot before a reset.
		{Probing, NoAnswer, never(1), ReopenRung, Probing, Brisk},
		{Probing, NoAnswer, never(4), ReopenRung, Probing, Brisk},
		{Probing, NoAnswer, never(5), ResetRung, Probing, Brisk},
		{Probing, NoAnswer, silent(89*time.Second, climb(1)), ReopenRung, Probing, Brisk},
		{Probing, NoAnswer, silent(90*time.Second, climb(1)), ResetRung, Probing, Brisk},
		{Probing, NoAnswer, silent(90*time.Second, spent(1)), ReopenRung, Probing, Brisk},
		// One that is off by its own word gets the same: only that word is different.
		{Online, ModuleOff, climb(1), ReopenRung, Probing, Brisk},
		{Probing, ModuleOff, climb(5), ResetRung, Probing, Brisk},
		{Probing, ModuleOff, silent(90*time.Second, climb(2)), ResetRung, Probing, Brisk},
		{Probing, ModuleOff, silent(90*time.Second, spent(2)), ReopenRung, Probing, Brisk},

		// Resets that did not help are given time, and then a new process is tried; not
		// for a module that talks, because that would change nothing.
		{Probing, NoAnswer, spent(5), ReopenRung, Probing, Brisk},
		{Probing, NoAnswer, dark(spent(5)), ExitRung, Probing, Brisk},
		{Probing, NoAnswer, dark(spent(4)), ReopenRung, Probing, Brisk},
		{Probing, NoAnswer, dark(never(5)), ResetRung, Probing, Brisk},
		{Probing, OutOfSync, dark(spent(3)), ExitRung, Probing, BackOff},
		{Attaching, NotRegistered, dark(spent(4)), RadioRung, Attaching, BackOff},
		{Probing, PortMissing, dark(spent(50)), ReopenRung, Probing, Brisk},
		{Probing, PortMissing, never(50), ReopenRung, Probing, Brisk},
		{Probing, PortBusy, never(50), ReopenRung, Probing, Brisk},

		// What looks like a wrong configuration never resets the module.
		{Attaching, BearerFailed, never(50), RadioRung, Attaching, BackOff},
		{Attaching, NotRegistered, never(50), RadioRung, Attaching, BackOff},
		{Connecting, ConnectFailed, never(50), RadioRung, Attaching, BackOff},
		{Authenticating, HTTPFailed, never(50), RadioRung, Attaching, BackOff},

		// A card that cannot be read gets its power anew, the module a reset for one that
		// has worked, after an hour; one that wants a code is left alone.
		{Attaching, SIMMissing, never(1), NoRung, Attaching, BackOff},
		{Attaching, SIMMissing, never(50), RadioRung, Attaching, BackOff},
		{Attaching, SIMMissing, card(climb(1)), RadioRung, Attaching, BackOff},
		{Online, SIMMissing, card(climb(1)), NoRung, Connecting, BackOff},
		{Attaching, SIMMissing, lasting(cardResetAfter, never(50)), RadioRung, Attaching, BackOff},
		{Attaching, SIMMissing, card(lasting(cardResetAfter-time.Second, climb(50))), RadioRung, Attaching, BackOff},
		{Attaching, SIMMissing, card(lasting(cardResetAfter, never(50))), ResetRung, Probing, Brisk},
		{Attaching, SIMMissing, card(lasting(cardResetAfter, spent(50))), RadioRung, Attaching, BackOff},
		{Attaching, SIMMissing, locked(card(lasting(cardResetAfter, climb(50)))), NoRung, Attaching, BackOff},

		{Probing, FirmwareUnsupported, never(50), NoRung, Probing, Slow},
		{Registering, RegistrationDisabled, never(50), NoRung, Registering, Slow},
		{Registering, AlreadyActivated, climb(50), NoRung, Registering, Slow},
		{Registering, SignatureRefused, never(50), NoRung, Registering, Slow},
		{Authenticating, DeviceSecretRefused, climb(50), NoRung, Authenticating, Slow},
		{Registering, ProductUnknown, never(50), NoRung, Registering, Slow},
		{Registering, RequestRefused, never(50), NoRung, Registering, Slow},
		{Registering, CloudError, climb(50), NoRung, Registering, BackOff},
		{Registering, StateUnwritable, climb(50), NoRung, Registering, BackOff},

		// A refused login with a cached token asks for one new token at once; with a
		// fresh one only a person can help.
		{Connecting, ConnAckRefused, cached(climb(1)), SessionRung, Authenticating, AtOnce},
		{Connecting, ConnAckRefused, climb(2), NoRung, Connecting, Slow},
		{Connecting, ConnAckRefused, climb(50), NoRung, Connecting, Slow},
		{Connecting, ConnAckRefused, never(1), NoRung, Connecting, Slow},

		// Credentials that have worked are tried once more soon: a server that is being
		// moved refuses good ones, too.
		{Connecting, ConnAckRefused, climb(1), NoRung, Connecting, BackOff},
		{Online, Kicked, climb(1), NoRung, Connecting, Slow},

		// A port that takes no more bytes is opened anew; if that does not help, a
		// new process is the last thing left.
		{Online, WriteBlocked, climb(1), ReopenRung, Probing, BackOff},
		{Probing, WriteBlocked, climb(2), ReopenRung, Probing, BackOff},
		{Probing, WriteBlocked, climb(3), ExitRung, Probing, BackOff},
	} {
		got := Next(s.from, s.cause, s.h)
		if want := (Decision{s.rung, s.resume, s.pace}); got != want {
			t.Errorf("Next(%s, %s, %+v) = %v, want %v", s.from, s.cause, s.h, got, want)
		}
	}
}

// Whatever comes, a decision is one that the supervisor can carry out, and a
// ladder that may end in a reset gets there.
func TestNextIsTotal(t *testing.T) {
	t.Parallel()
	for _, from := range []State{Probing, Attaching, Registering, Authenticating, Connecting, Online} {
		for _, c := range Causes() {
			for climb := range 20 {
				for _, flags := range []int{0, 1, 2, 3, 4, 5, 6, 7} {
					h := History{Attempt: climb, Climb: climb, Worked: flags&1 != 0, FreshToken: flags&2 != 0, Attached: flags&4 != 0, ResetsLeft: climb % 2}
					d := Next(from, c, h)
					if d.Resume == Online || d.Resume == Recovering || d.Resume == Stopping || d.Resume == "" {
						t.Fatalf("Next(%s, %s, %+v) resumes in %q", from, c, h, d.Resume)
					}
					if d.Rung == ResetRung && h.ResetsLeft == 0 {
						t.Fatalf("Next(%s, %s, %+v) spends a reset it does not have", from, c, h)
					}
					if d.Rung == ExitRung && c != WriteBlocked {
						t.Fatalf("Next(%s, %s, %+v) gives up within %v", from, c, h, exitAfter)
					}
				}
			}
		}
	}
}

// The waits of a thousand gateways that failed in the same second are spread
// evenly, never below the minimum and never beyond the cap.
func TestWaitIsFullJitterUnderADoublingCap(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	const least, most = 2 * time.Second, 5 * time.Minute
	for _, c := range []struct {
		pace     Pace
		attempt  int
		from, to time.Duration
	}{
		{AtOnce, 9, 0, 0},
		{Brisk, 1, least, 4 * time.Second},
		{Brisk, 30, least, 5 * time.Second},
		{BackOff, 1, least, 4 * time.Second},
		{BackOff, 4, least, 32 * time.Second},
		{BackOff, 8, least, most},
		{BackOff, 1 << 30, least, most},
		{Slow, 1, most / 2, most},
		{Slow, 30, most / 2, most},
	} {
		var lowest, highest, sum time.Duration = 1 << 62, 0, 0
		const draws = 4000
		for range draws {
			d := Wait(c.pace, c.attempt, least, most, random)
			lowest, highest, sum = min(lowest, d), max(highest, d), sum+d
		}
		span := c.to - c.from
		if lowest < c.from || highest > c.to {
			t.Errorf("pace %d attempt %d: waits from %v to %v, want within %v to %v", c.pace, c.attempt, lowest, highest, c.from, c.to)
		}
		if lowest > c.from+span/50 || highest < c.to-span/50 {
			t.Errorf("pace %d attempt %d: waits from %v to %v do not fill %v to %v", c.pace, c.attempt, lowest, highest, c.from, c.to)
		}
		if mean := sum / draws; mean < c.from+span*45/100 || mean > c.from+span*55/100 {
			t.Errorf("pace %d attempt %d: mean %v is off the middle of %v to %v", c.pace, c.attempt, mean, c.from, c.to)
		}
	}
}
