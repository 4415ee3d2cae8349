package session

import (
	"context"
	"errors"

	"airbridged/internal/air"
	"airbridged/internal/recovery"
)

// probeCommands is how many commands it takes at most to know a module.
const probeCommands = 12

// unwrittenIMEI is what a module answers whose IMEI was never written (vendor
// FAQ): every such module has the same, so they would kick each other.
const unwrittenIMEI = "3520990017614823"

// probing opens the port, trains the baud rate, finds out what answers, and brings
// it to the speed it is to work at.
func (s *Session) probing(ctx context.Context) (recovery.State, error) {
	s.attached = false
	if err := s.train(ctx); err != nil {
		return recovery.Probing, err
	}
	modem := s.line.modem
	s.progress.expect(probeCommands * s.Cloud.Timeouts.Command)
	id, err := modem.Identify(ctx)
	if err != nil {
		return recovery.Probing, s.unanswered(recovery.NoAnswer, err)
	}
	if err := s.workSpeed(ctx, id); err != nil {
		return recovery.Probing, s.unanswered(recovery.NoAnswer, err)
	}
	modem = s.line.modem
	caps, err := s.capabilities(ctx, id)
	var unsupported *air.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		s.iccid = id.ICCID
		s.show.module(id)
		return recovery.Probing, &recovery.Failure{Cause: recovery.FirmwareUnsupported, Hint: unsupported.Hint, Err: err}
	case err != nil:
		return recovery.Probing, s.unanswered(recovery.NoAnswer, err)
	}
	s.line.echoOff = !modem.Echoes()
	modem.SetCapabilities(caps)
	s.Carrier.Remember(caps)
	s.iccid = id.ICCID
	s.show.module(id)
	s.identify(id.IMEI)
	if s.identity.DeviceName == "" {
		return recovery.Probing, &recovery.Failure{Cause: recovery.NoAnswer, Hint: "the module tells no IMEI: set device.device_name", Err: errors.New("no IMEI and no device.device_name")}
	}
	return recovery.Attaching, nil
}

// capabilities asks what the module can do. A "no" is asked for a second time: a
// bit that flipped on the line, or a module that is still busy with its start,
// answers ERROR to a test form too, and the wait for another firmware is long.
func (s *Session) capabilities(ctx context.Context, id air.Identity) (air.Capabilities, error) {
	caps, err := s.line.modem.Probe(ctx, id)
	var unsupported *air.UnsupportedError
	if !errors.As(err, &unsupported) {
		return caps, err
	}
	if err := s.pause(ctx, askAgain); err != nil {
		return caps, err
	}
	return s.line.modem.Probe(ctx, id)
}

// identify settles the device name: the configured one, or the IMEI.
func (s *Session) identify(imei string) {
	s.identity.ProductKey = s.Device.ProductKey
	s.identity.DeviceName = s.Device.DeviceName
	if s.identity.DeviceName == "" {
		s.identity.DeviceName = imei
		if imei == unwrittenIMEI {
			s.show.warn("imei-unwritten", "the module's IMEI was never written, so every such module has the same name: set device.device_name")
		}
	}
	s.show.deviceName(s.identity.DeviceName)
	s.filters.belongTo(s.identity)
}
