package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/bus"
	"airbridged/internal/dataphase"
	"airbridged/internal/recovery"
)

// port is the serial port, the speed of its line, the module behind it, and the
// goroutine that reads from it. While it is closed, opened is nil.
type port struct {
	openDevice func(baud int) (io.ReadWriteCloser, error)
	module     air.Options // of every module that is opened, but its speed
	speed      speed
	dataPhase  *dataphase.Record
	flight     *bus.Flight
	show       *display
	progress   *progress

	*opened
	wasDeaf bool          // when it was closed last, the module may have been waiting for the bytes of a payload, and has not answered since
	off     string        // what the module said when it switched itself off, while it has not answered since; empty: it did not
	since   atengine.Mark // what the module said of its own accord up to here is dealt with
}

// opened is what there is only while the port is open.
type opened struct {
	device io.ReadWriteCloser
	modem  *air.Modem
	baud   int
	raised bool // it runs at modem.work_baud

	stop    context.CancelFunc
	dead    chan struct{} // closed when the reader is gone
	err     error         // why; read it only after dead is closed
	echoOff bool          // the module took ATE0, so that an echo means that it restarted
}

func newPort(o Options, module air.Options, show *display, progress *progress) port {
	return port{
		openDevice: o.Open, module: module, flight: o.Flight, show: show, progress: progress,
		speed:     newSpeed(o.Modem, o.State),
		dataPhase: dataphase.Open(o.State, time.Now()),
	}
}

// open opens the port at a speed and starts reading.
func (p *port) open(ctx context.Context, baud int) error {
	p.close()
	device, err := p.openDevice(baud)
	if err != nil {
		return err
	}
	options := p.module
	options.Baud = baud
	options.DataPhase = func() { p.keepDataPhase(p.dataPhase.Begins(time.Now())) }
	runCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	o := &opened{device: device, baud: baud, modem: air.New(device, options), stop: stop, dead: make(chan struct{})}
	go func() {
		defer close(o.dead)
		o.err = o.modem.Run(runCtx)
	}()
	p.opened, p.since = o, o.modem.Mark()
	p.flight.Note("port open at " + strconv.Itoa(baud) + " bit/s")
	return nil
}

// close closes the port and waits until its reader is gone.
func (p *port) close() {
	if !p.isOpen() {
		return
	}
	p.noteOff()
	o := p.opened
	p.opened = nil
	deaf := o.modem.DeafFor()
	p.wasDeaf = p.wasDeaf || deaf > 0
	p.keepDataPhase(p.dataPhase.Closed(deaf, time.Now()))
	o.stop()
	if err := o.device.Close(); err != nil {
		p.show.log.Debug("closing the port", zap.Error(err))
	}
	<-o.dead
	p.flight.Note("port closed")
}

// keepDataPhase tells that a data phase that may be open is not on disk.
func (p *port) keepDataPhase(err error) {
	if err != nil {
		p.show.log.Warn("an open data phase could not be recorded; a restart within 40 s may publish a stray AT", zap.Error(err))
	}
}

func (p *port) isOpen() bool { return p.opened != nil }

// inStep says whether a command can be given: the port is open, and none before it was
// left without an answer.
func (p *port) inStep() bool { return p.isOpen() && p.modem.InSync() }

// gone says whether the reader of an open port has ended; err tells why.
func (p *port) gone() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

// news is what the module said of its own accord since it was last asked for.
func (p *port) news() []air.Event {
	events, upTo := p.modem.Since(p.since)
	p.since = upTo
	return events
}

// forgot says whether the module shows, by echoing again, that it restarted and
// lost its settings.
func (p *port) forgot() bool { return p.echoOff && p.modem.Echoes() }

// restarted says whether the module restarted and nobody has acted on it yet: one
// in the middle of a command shows first as silence, and perhaps only by the echo
// being back. All settings are gone then, and only probing restores them.
func (p *port) restarted() bool {
	if p.forgot() {
		return true
	}
	events, _ := p.modem.Since(p.since)
	return slices.ContainsFunc(events, func(e air.Event) bool { return e.Kind == air.Rebooted || e.Kind == air.PowerDown })
}

// wentOff is what the module said when it switched itself off, where nobody has acted on
// that yet and it has not started anew since; empty: it did not.
func (p *port) wentOff() string {
	if !p.isOpen() {
		return ""
	}
	said := ""
	events, _ := p.modem.Since(p.since)
	for _, e := range events {
		switch e.Kind {
		case air.PowerDown:
			said = e.Text
		case air.Rebooted:
			said = ""
		}
	}
	return said
}

// noteOff takes in what the module said when it switched itself off.
func (p *port) noteOff() {
	if said := p.wentOff(); said != "" {
		p.off = said
	}
}

// explain takes in what the module said of its own end: then its silence is no matter of
// wiring, and what ended a command was no restart.
func (p *port) explain(f *recovery.Failure) *recovery.Failure {
	p.noteOff()
	switch {
	case f.Cause == recovery.ModuleOff, p.off == "":
	case f.Cause == recovery.NoAnswer, f.Cause == recovery.Rebooted:
		return offFailure(p.off, f.Err)
	case f.Cause == recovery.PortMissing:
		return &recovery.Failure{Cause: f.Cause, Hint: fmt.Sprintf("%s (the module said %q before it went)", f.Advice(), p.off), Err: f.Err}
	}
	return f
}

// resync brings the engine back in step, if a command was left without an answer.
func (p *port) resync(ctx context.Context) error {
	if !p.isOpen() || p.modem.InSync() {
		return nil
	}
	if p.gone() {
		return p.err
	}
	if err := p.modem.Resync(ctx); err != nil {
		return err
	}
	// One command more, so that a restart shows by its echo: the first one after it
	// trains the speed, and is not echoed yet.
	if _, err := p.modem.Signal(ctx); silence(err) {
		return err
	}
	return nil
}

// unanswered is failed, but tells silence apart: a command that got no answer
// leaves the engine out of step, and that comes before whatever was asked.
func (p *port) unanswered(c recovery.Cause, err error) error {
	if err == nil {
		return nil
	}
	if p.isOpen() && errors.Is(err, atengine.ErrTimeout) && !p.modem.InSync() {
		return &recovery.Failure{Cause: recovery.OutOfSync, Err: err}
	}
	return failed(c, err)
}
