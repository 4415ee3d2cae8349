package session

import (
	"context"
	"io"
	"strconv"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
)

// line is an open port with the module behind it and the goroutine that reads it.
type line struct {
	port     io.ReadWriteCloser
	baud     int
	raised   bool // it runs at modem.work_baud
	modem    *air.Modem
	stop     context.CancelFunc
	dead     chan struct{} // closed when the reader is gone
	err      error         // why; read it only after dead is closed
	echoOff  bool          // the module took ATE0, so that an echo means that it restarted
	loggedIn bool          // MCONNECT was acknowledged and nothing has torn it down since

	registers bool // the module has said that it is registered
	noService bool // it said that it has no network, and nobody has asked since
}

// forgot says whether the module shows, by echoing again, that it restarted and
// lost its settings.
func (l *line) forgot() bool { return l.echoOff && l.modem.Echoes() }

// openLine opens the port at a speed and starts reading.
func (s *Session) openLine(ctx context.Context, baud int) error {
	s.dropLine()
	port, err := s.Open(baud)
	if err != nil {
		return err
	}
	modem := air.New(port, air.Options{
		Baud:       baud,
		Timeouts:   s.Cloud.Timeouts,
		MaxPayload: s.Modem.MaxPayload,
		Downlink:   s.downlink,
		Trace:      s.traffic,
		DataPhase:  func() { s.keepDataPhase(s.dataPhase.Begins(time.Now())) },
		Recorder:   s.Recorder,
		Log:        s.Log.Named("modem"),
	})
	runCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &line{port: port, baud: baud, modem: modem, stop: stop, dead: make(chan struct{})}
	go func() {
		defer close(l.dead)
		l.err = modem.Run(runCtx)
	}()
	s.line = l
	s.Flight.Note("port open at " + strconv.Itoa(baud) + " bit/s")
	return nil
}

// dropLine closes the port and waits until its reader is gone.
func (s *Session) dropLine() {
	if s.line == nil {
		return
	}
	l := s.line
	s.line = nil
	s.keepDataPhase(s.dataPhase.Closed(l.modem.DeafFor(), time.Now()))
	l.stop()
	if err := l.port.Close(); err != nil {
		s.Log.Debug("closing the port", zap.Error(err))
	}
	<-l.dead
	s.Flight.Note("port closed")
}

// keepDataPhase tells that a data phase that may be open is not on disk.
func (s *Session) keepDataPhase(err error) {
	if err != nil {
		s.Log.Warn("an open data phase could not be recorded; a restart within 40 s may publish a stray AT", zap.Error(err))
	}
}

// waitOutDataPhase returns when the module listens to commands again.
func (s *Session) waitOutDataPhase(ctx context.Context) error {
	left := s.dataPhase.Left(time.Now())
	if left <= 0 {
		return nil
	}
	s.Log.Debug("waiting for an open data phase to end", zap.Duration("wait", left))
	return s.pause(ctx, left)
}
