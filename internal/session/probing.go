package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
)

// probeCommands is how many commands it takes at most to know a module.
const probeCommands = 14

// probing opens the port, trains the baud rate, finds out what answers, and brings
// it to the speed it is to work at.
func (s *Session) probing(ctx context.Context) (recovery.State, error) {
	s.network.newModule()
	s.forget(recovery.LostNetwork)
	s.port.close()
	if err := s.waitOutDataPhase(ctx); err != nil {
		return "", err
	}
	if err := s.port.train(ctx); err != nil {
		return "", err
	}
	took, booted := s.past.Answered(time.Now())
	s.port.wasDeaf = false
	modem := s.port.modem
	s.progress.expect(probeCommands * s.o.Cloud.Timeouts.Command)
	begun := time.Now()
	id, err := whenStarted(s, ctx, begun, func() (air.Identity, error) { return modem.Identify(ctx) })
	if err != nil {
		return "", s.port.unanswered(recovery.NoAnswer, err)
	}
	if err := s.port.workSpeed(ctx, id); err != nil {
		return "", s.port.unanswered(recovery.NoAnswer, err)
	}
	modem = s.port.modem
	caps, err := whenStarted(s, ctx, begun, func() (air.Capabilities, error) { return s.capabilities(ctx, id) })
	var unsupported *air.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		s.network.iccid = id.ICCID
		s.show.module(id)
		return "", &recovery.Failure{Cause: recovery.FirmwareUnsupported, Hint: unsupported.Hint, Err: err}
	case err != nil:
		return "", s.port.unanswered(recovery.NoAnswer, err)
	}
	if err := s.readIMEI(ctx, &id); err != nil {
		return "", s.port.unanswered(recovery.NoAnswer, err)
	}
	s.port.echoOff = !modem.Echoes()
	s.carries(s.o.Limits.Remember(caps))
	s.up.oversize = oversize{}
	s.network.imei, s.network.iccid = id.IMEI, id.ICCID
	s.show.module(id)
	s.device.identified(id.IMEI)
	s.past.knows(id.IMEI, took, booted)
	s.filters.belongTo(s.device.names)
	s.o.Limits.belongTo(s.device.names.DeviceName)
	if s.device.names.DeviceName == "" {
		return "", &recovery.Failure{
			Cause: recovery.IMEIUnreadable, Hint: recovery.IMEIUnreadable.Hint() + " (asked for it, the module says " + id.NoIMEI + ")",
			Err: fmt.Errorf("no device.device_name, and no IMEI: the module says %s", id.NoIMEI),
		}
	}
	s.o.Queue.Device(outbox.Device(s.device.names))
	return recovery.Attaching, nil
}

// readIMEI asks again for an IMEI that names the device: what could not be read may have
// been a bit that flipped on the line, or a module that is still busy with its start.
func (s *Session) readIMEI(ctx context.Context, id *air.Identity) error {
	for range 2 {
		if id.IMEI != "" || s.o.Device.DeviceName != "" {
			return nil
		}
		if err := s.pause(ctx, askAgain); err != nil {
			return err
		}
		s.progress.expect(probeCommands * s.o.Cloud.Timeouts.Command)
		var err error
		if id.IMEI, id.NoIMEI, err = s.port.modem.IMEI(ctx); err != nil {
			return err
		}
	}
	return nil
}

// waitOutDataPhase returns when the module listens to commands again.
func (s *Session) waitOutDataPhase(ctx context.Context) error {
	left := s.port.dataPhase.Left(time.Now())
	if left <= 0 {
		return nil
	}
	s.show.log.Debug("waiting for an open data phase to end", zap.Duration("wait", left))
	return s.pause(ctx, left)
}

// startMost is how long a module may answer and know no command yet (field notes of an
// Air780E).
const startMost = 30 * time.Second

// whenStarted asks a module again that is still starting.
func whenStarted[T any](s *Session, ctx context.Context, begun time.Time, ask func() (T, error)) (T, error) {
	for {
		told, err := ask()
		if !errors.Is(err, air.ErrStarting) || time.Since(begun) > startMost {
			return told, err
		}
		if err := s.pause(ctx, askAgain); err != nil {
			return told, err
		}
		s.progress.expect(probeCommands * s.o.Cloud.Timeouts.Command)
	}
}

// capabilities asks what the module can do. A "no" is asked for a second time: a
// bit that flipped on the line, or a module that is still busy with its start,
// answers ERROR to a test form too, and the wait for another firmware is long.
func (s *Session) capabilities(ctx context.Context, id air.Identity) (air.Capabilities, error) {
	caps, err := s.port.modem.Probe(ctx, id)
	var unsupported *air.UnsupportedError
	if !errors.As(err, &unsupported) {
		return caps, err
	}
	if err := s.pause(ctx, askAgain); err != nil {
		return caps, err
	}
	return s.port.modem.Probe(ctx, id)
}
