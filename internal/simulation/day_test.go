package simulation

import (
	"context"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/outbox/simdisk"
)

// day is one seed's day.
type day struct {
	*gateway
	random   *rand.Rand // of the faults
	lifeSeed uint64
	killed   chan bool // a process was murdered in a call to its disk; power?
	sent     chan struct{}
}

// bornAt is the virtual time of the first process: a clock that was set.
var bornAt = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// live runs a day and returns the referee that saw it.
func live(t *testing.T, p plan) *referee { return liveAndTell(t, p, nil) }

// liveAndTell writes the whole timeline, if all is not nil.
func liveAndTell(t *testing.T, p plan, all io.Writer) (r *referee) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(bornAt))
		r = newReferee(len(p.programs))
		r.lossy, r.blind, r.timeline.all = p.limits.DropOldest, p.blind, all
		r.packing, r.together = p.packing(), p.together()
		d := &day{gateway: newGateway(t, p, r), random: rand.New(rand.NewPCG(p.seed, 1)), killed: make(chan bool, 1), sent: make(chan struct{}, 1)}
		r.sends = func() {
			select {
			case d.sent <- struct{}{}:
			default:
			}
		}
		d.run()
	})
	return r
}

func (d *day) run() {
	ctx, off := context.WithCancel(d.t.Context())
	moduleDone := make(chan error, 1)
	go func() { moduleDone <- d.module.Run(ctx) }()
	d.begin()
	work, stop := context.WithCancel(d.t.Context())
	var programs sync.WaitGroup
	for i := range d.p.programs {
		programs.Go(func() { d.publish(work, i, rand.New(rand.NewPCG(d.p.seed, uint64(100+i)))) })
	}
	for i := range 2 {
		programs.Go(func() { d.listen(work, rand.New(rand.NewPCG(d.p.seed, uint64(200+i)))) })
	}
	programs.Go(func() { d.push(work, rand.New(rand.NewPCG(d.p.seed, 300))) })
	programs.Go(func() { d.answer(work, d.sent, rand.New(rand.NewPCG(d.p.seed, 301))) })

	end := time.Now().Add(d.p.faulty)
	for range d.random.IntN(2) * (1 + d.random.IntN(5)) { // the first minutes count double: they hold the registration
		if !d.wait(time.Duration(d.random.Int64N(int64(6 * time.Second)))) {
			break
		}
		d.strike()
	}
	for time.Now().Before(end) && d.wait(d.pause()) {
		d.strike()
	}
	d.mendAll()
	stop()
	programs.Wait()
	d.settle()
	if d.current() != nil {
		d.halt()
	}
	off()
	if err := <-moduleDone; err != nil {
		d.referee.fail("module: %v", err)
	}
}

// pause draws the time to the next strike: now and then they come in a burst.
func (d *day) pause() time.Duration {
	if d.random.IntN(6) == 0 {
		return time.Duration(d.random.Int64N(int64(30 * time.Second)))
	}
	return time.Duration(d.random.ExpFloat64() * float64(d.p.between))
}

// begin starts a process, again and again while it fails to.
func (d *day) begin() {
	for {
		d.lifeSeed++
		err := d.start(d.p.seed*1000 + d.lifeSeed)
		if err == nil {
			return
		}
		d.referee.note(fromDaemon, "does not start: %v", err)
		if time.Since(d.referee.diskTime()) > time.Minute {
			d.referee.fail("the daemon does not start: %v", err)
			return
		}
		time.Sleep(restartAfter)
	}
}

// wait lets a time pass, in which processes end and are started anew. It says false
// when a promise was broken.
func (d *day) wait(span time.Duration) bool {
	until := time.Now().Add(span)
	for {
		l := d.current()
		if l == nil { // a violation kept it from starting
			return false
		}
		step := time.NewTimer(min(time.Until(until), time.Minute))
		select {
		case <-step.C:
			d.referee.overdue()
			if err := l.session.Healthy(); err != nil {
				d.referee.fail("the watchdog would kill the daemon: %v", err)
			}
		case <-d.referee.over:
			step.Stop()
			return false
		case power := <-d.killed:
			d.bury(l, power)
			d.rise(power)
		case err := <-l.done: // the last rung of recovery
			l.done <- err
			d.referee.note(fromDaemon, "ended by itself: %v", err)
			d.halt()
			d.rise(false)
		}
		step.Stop()
		if !time.Now().Before(until) {
			return true
		}
	}
}

// rise is systemd starting the daemon anew; after a power cut that takes longer.
func (d *day) rise(power bool) {
	pause := restartAfter
	if power {
		pause += time.Duration(d.random.Int64N(int64(time.Minute)))
	}
	time.Sleep(pause)
	d.booted = power
	d.begin()
}

// strike lets one thing happen.
func (d *day) strike() {
	if what := disasters[d.random.IntN(len(disasters))]; d.random.IntN(5) == 0 && d.p.only == "" || what == d.p.only {
		d.disaster(what)
		return
	}
	k := strikes[d.random.IntN(len(strikes))]
	if d.p.only != "" && k.order != d.p.only {
		return
	}
	d.struck(k.order, k.kind(), k.breaks, k.garbles)
	d.order(k.order)
	if k.mend == "" {
		return
	}
	span := time.Duration(d.random.ExpFloat64() * float64(10*time.Minute))
	if d.random.IntN(10) == 0 {
		span = time.Duration(d.random.ExpFloat64() * float64(2*time.Hour))
	}
	d.hold(span)
	d.order(k.mend)
	d.struck(k.mend, "", false, false)
}

func (d *day) struck(order, kind string, breaks, garbles bool) {
	r := d.referee
	r.mu.Lock()
	defer r.mu.Unlock()
	r.garbled = r.garbled || garbles
	r.refusing = r.refusing || strings.Contains(order, "error AT+MPUB") || strings.Contains(order, "ERROR")
	if kind != "" {
		r.Strikes[kind]++
	}
	r.struck(order, breaks)
}

// hold lets a fault last, with the watch on wedges off.
func (d *day) hold(span time.Duration) {
	until := time.Now().Add(span)
	for time.Now().Before(until) {
		d.struck("", "", false, false) // it goes on
		if !d.wait(min(time.Until(until), 10*time.Minute)) {
			return
		}
	}
}

// disaster strikes the daemon or its disks.
func (d *day) disaster(what string) {
	d.referee.note(fromFault, "%s", what)
	d.struck("", what, false, false)
	l := d.current()
	switch what {
	case restart:
		d.halt()
		d.rise(false)
	case kill, powerCut:
		d.murder(l, what == powerCut)
		d.bury(l, what == powerCut)
		d.rise(what == powerCut)
	case killWrite, cutWrite:
		d.trap(l, what == cutWrite)
	case diskFull, diskFails, diskReads, diskStarved, diskReadOnly, diskGone:
		d.spoil(l, what)
	case stateFull:
		l.state.Fail(func(op, _ string) error {
			if op == "create" || op == "write" {
				return syscall.ENOSPC
			}
			return nil
		})
		d.hold(time.Duration(d.random.ExpFloat64() * float64(5*time.Minute)))
		if l := d.current(); l != nil {
			l.state.Fail(nil)
		}
		d.struck("", "", false, false)
		d.wait(time.Minute) // CONNECTs that could not be booked are forgotten by a restart until then
	}
}

// trap has the process killed by one of its next calls to a disk, at the latest in
// five minutes.
func (d *day) trap(l *life, power bool) {
	var left atomic.Int64
	left.Store(int64(d.random.IntN(40)))
	spring := func(op string) {
		if left.Add(-1) == -1 {
			d.referee.note(fromFault, "killed after %s", op)
			d.murder(l, power)
			d.killed <- power
		}
	}
	l.files.Notify(spring)
	l.state.Notify(spring)
	d.wait(5 * time.Minute)
	l.files.Notify(nil)
	l.state.Notify(nil)
}

// spoiltAtMost is less than the ten minutes after which others pass what cannot be
// read, which would be another order than the one that is promised.
const spoiltAtMost = 9 * time.Minute

// spoil fills the outbox's disk, or has it fail, for a while.
func (d *day) spoil(l *life, what string) {
	luck := rand.New(rand.NewPCG(d.random.Uint64(), 7)) // guarded by the disk's lock
	until := time.Now().Add(min(time.Duration(d.random.ExpFloat64()*float64(5*time.Minute)), spoiltAtMost))
	d.referee.spoilt()
	switch what {
	case diskReadOnly:
		l.files.ReadOnly(true)
		defer l.files.ReadOnly(false)
	case diskGone:
		l.files.MountOver(simdisk.New())
		defer l.files.Return()
	}
	l.files.Fail(func(op, _ string) error {
		d.referee.spoilt()
		switch {
		case what == diskFull && (op == "create" || op == "truncate"):
			return syscall.ENOSPC
		case what == diskFails && op != "read" && op != "open" && luck.IntN(3) == 0, what == diskReads && (op == "read" || op == "open"):
			return syscall.EIO
		case what == diskStarved && (op == "open" || op == "create"):
			return []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM}[luck.IntN(3)]
		}
		return nil
	})
	for time.Now().Before(until) && d.wait(min(diskGrace/2, time.Until(until))) {
		d.referee.spoilt()
	}
	if l := d.current(); l != nil {
		l.files.Fail(nil)
	}
	d.referee.spoilt()
}

func (r *referee) spoilt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.diskAt = time.Now()
}

func (r *referee) diskTime() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.diskAt
}

// mendAll ends every fault.
func (d *day) mendAll() {
	for _, k := range strikes {
		if k.mend != "" {
			d.order(k.mend)
		}
	}
	d.order("clear")
	d.referee.note(fromFault, "all is mended")
	d.struck("", "", false, false)
}

// settle waits for the queue to drain and the session to be online.
func (d *day) settle() {
	fewest, fewer := 0, time.Now()
	for {
		if !d.wait(10 * time.Second) {
			return
		}
		l := d.current()
		stats := l.queue.Stats()
		if stats.Messages+stats.Held == 0 && l.board.Status().State == "online" {
			d.referee.settledAll(stats)
			return
		}
		if waiting := stats.Messages + stats.Held; fewest == 0 || waiting < fewest {
			fewest, fewer = waiting, time.Now()
		} else if time.Since(fewer) > calm {
			d.referee.fail("%d messages wait, and none went out for %v after everything was mended; the session is %s", waiting, calm, l.board.Status().State)
			return
		}
	}
}
