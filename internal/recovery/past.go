package recovery

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Policy bounds how hard recovery tries.
type Policy struct {
	BackoffMin        time.Duration // the shortest wait
	BackoffMax        time.Duration // the longest one
	HardResetsPerHour int
}

// Past is what one session remembers of its failures. It belongs to one goroutine.
type Past struct {
	policy  Policy
	random  *rand.Rand
	resets  resetBudget
	folding folding
	boots   boots

	attempt   int                 // failures in a row since the session was stable
	backedOff int                 // how many of these had the pace BackOff
	climbs    map[Cause]int       // the same by cause, since the module was last reset
	begun     map[Cause]time.Time // when the first of these was
	cutShort  int                 // waits that ended early, since it was stable
	worked    bool                // online at least once
	simWorked bool                // a SIM was ready at least once
	darkSince time.Time           // when the session was last online, or Begin
	heard     time.Time           // when the module was last heard or reset, or Begin
}

// NewPast returns a past without failures. Waits are drawn from random.
func NewPast(p Policy, now time.Time, random *rand.Rand) *Past {
	return &Past{
		policy: p, random: random, resets: resetBudget{perHour: p.HardResetsPerHour},
		climbs: make(map[Cause]int), begun: make(map[Cause]time.Time), darkSince: now, heard: now,
	}
}

// Begin says that the session begins.
func (p *Past) Begin(now time.Time) { p.darkSince, p.heard = now, now }

// Online says that the session is online, and Offline that it is so no longer.
func (p *Past) Online() { p.worked = true }

// SIMReady says that the module can use its SIM.
func (p *Past) SIMReady() { p.simWorked = true }

// Offline says that the session was online until now.
func (p *Past) Offline(now time.Time) { p.darkSince = now }

// Heard says when the module was last heard, or reset.
func (p *Past) Heard(at time.Time) {
	if at.After(p.heard) {
		p.heard = at
	}
}

// Facts are what the session knows of a failure besides its cause.
type Facts struct {
	FreshToken bool // the token in use was fetched for this very attempt, or there is none to fetch
	Attached   bool // the bearer was up when it failed
	SIMLocked  bool // the SIM, or the module, wants a code that only a person has
	Deaf       bool // the module may have been waiting for the bytes of a payload since it was last heard
}

// Fail counts a failure, and returns what to do about it and how long to wait.
// Causes that take turns, such as a session that is closed now and not answered
// then, each go on where they were on their ladder: it begins anew only when the
// session was stable, or the module was reset.
func (p *Past) Fail(from State, c Cause, f Facts, now time.Time) (Decision, time.Duration) {
	p.attempt++
	if p.climbs[c]++; p.climbs[c] == 1 {
		p.begun[c] = now
	}
	if announced(c) {
		p.boots.talking = false
	}
	d := Next(from, c, p.History(c, f, now))
	return d, Wait(d.Pace, p.inARow(d.Pace), p.policy.BackoffMin, p.policy.BackoffMax, p.random)
}

// inARow counts a failure and returns what its wait doubles with. The back-off
// counts only failures that were backed off from: looking for a port that is not
// there costs nobody anything, and must not make the cloud wait afterwards.
func (p *Past) inARow(pace Pace) int {
	if pace != BackOff {
		return p.attempt
	}
	p.backedOff++
	return p.backedOff
}

// History is the past as Next sees it.
func (p *Past) History(c Cause, f Facts, now time.Time) History {
	lasting := time.Duration(0)
	if p.climbs[c] > 0 {
		lasting = now.Sub(p.begun[c])
	}
	return History{
		Attempt:    p.attempt,
		Climb:      p.climbs[c],
		Worked:     p.worked,
		FreshToken: f.FreshToken,
		Attached:   f.Attached,
		ResetsLeft: p.resets.left(now, c.Mute()),
		SIMWorked:  p.simWorked,
		SIMLocked:  f.SIMLocked,
		Lasting:    lasting,
		Dark:       now.Sub(p.darkSince),
		Silent:     now.Sub(p.heard),
		Boot:       p.boots.patience(f.Deaf),
	}
}

// Attempts is how many failures there were in a row since the session was stable.
func (p *Past) Attempts() int { return p.attempt }

// Failed says whether a cause has come up since the session was stable, or the module
// was reset.
func (p *Past) Failed(c Cause) bool { return p.climbs[c] > 0 }

// ResetInVain says whether the module was reset since the session was stable.
func (p *Past) ResetInVain() bool { return p.resets.vain > 0 }

// Reset books a hard reset before it is made, and begins all ladders anew: what comes
// is as good as another module. It returns the resets of the last hour, for the next
// process.
func (p *Past) Reset(now time.Time) []time.Time {
	p.resets.spend(now)
	clear(p.climbs)
	return slices.Clone(p.resets.done)
}

// Recall takes in the hard resets that earlier processes made. A time that the clock of
// now has not reached yet counts as now.
func (p *Past) Recall(resets []time.Time, now time.Time) { p.resets.recall(resets, now) }

// CutShort says that a wait ended early, because what was missing has come.
func (p *Past) CutShort() { p.cutShort++ }

// Earliest is how long a wait lasts at least, though what was missing has come. It
// grows with each such wait, because at the edge of a cell the network comes and goes
// all day.
func (p *Past) Earliest() time.Duration {
	return double(p.policy.BackoffMin, p.cutShort, p.policy.BackoffMax)
}

// toldOver is how many failures an outage has to have for its end to be told.
const toldOver = 3

// Settled forgets the failures of the past: the session has been online for
// stable_after. It returns how many failures there were, and how many log lines were
// folded, where that is worth a line; otherwise 0.
func (p *Past) Settled(now time.Time) (failures, folded int) {
	if p.attempt >= toldOver {
		failures, folded = p.attempt, p.folding.unfold(now)
	}
	p.attempt, p.backedOff, p.cutShort = 0, 0, 0
	clear(p.climbs) // and with them begun, which is read only beside them
	p.resets.settled()
	p.folding.settled()
	return failures, folded
}

// Shows says whether a change of state is worth a line in the log, and how many were
// not since the last that was.
func (p *Past) Shows(to State, c Cause, now time.Time) (shows bool, folded int) {
	if !p.folding.shows(p.attempt, to, c, now) {
		return false, 0
	}
	return true, p.folding.unfold(now)
}
