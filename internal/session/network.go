package session

import (
	"time"

	"airbridged/internal/recovery"
)

// network is what is known of the SIM, the radio network and the data bearer.
type network struct {
	attached bool // the bearer is open
	awake    bool // the radio was switched on in this attempt to attach
	nudged   bool // and the module was told to attach

	heardOf     time.Time // when the module was last asked in it what the network says
	deniedSince time.Time // since when that is a refusal; zero: it is none

	registers bool // the module has said that it is registered
	noService bool // it said that it has no network, and nobody has asked since

	imei   string // of the module; empty: not known
	iccid  string // of the SIM; empty: not known
	signal *int   // received strength in dBm when it was last asked for; nil: not known
	clock  clock
}

// newModule forgets what another module has said, or the same one before it restarted.
func (n *network) newModule() {
	n.attached, n.registers, n.noService = false, false, false
}

// forget takes back what the module has told of something that is gone.
func (s *Session) forget(what recovery.Lost) {
	if what >= recovery.LostNetwork {
		s.network.signal = nil
	}
	if what >= recovery.LostSIM {
		s.network.iccid = ""
	}
	s.show.forget(what)
}

// attempt begins an attempt to attach.
func (n *network) attempt() {
	n.attached, n.awake, n.nudged = false, false, false
	n.heardOf, n.deniedSince = time.Time{}, time.Time{}
}

// fineSignal is from where on a missing answer is not the radio's fault (AT
// manual, CSQ: 3; below it modules lose the network now and then).
const fineSignal = -107 // dBm

// fine says whether the signal is known to be good enough.
func (n *network) fine() bool { return n.signal != nil && *n.signal >= fineSignal }

// clock knows when the module is to be asked for the network's time.
type clock struct {
	asked time.Time
	wait  time.Duration
}

// How often the module is asked for the network's time: once it knows it, and
// until then.
const (
	clockEvery = 10 * time.Minute
	clockUntil = time.Minute
)

func (c *clock) due(now time.Time) bool { return now.Sub(c.asked) >= c.wait }

// told says whether the module knew the time when it was asked.
func (c *clock) told(known bool, now time.Time) {
	c.asked, c.wait = now, clockUntil
	if known {
		c.wait = clockEvery
	}
}
