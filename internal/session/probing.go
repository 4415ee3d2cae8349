package session

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/bus"
)

// speeds are tried in this order when modem.baud is 0: the default of nearly
// every image first, then 9600 of the low-power images, then what people set
// (AT manual, IPR; 780EL firmware notes).
var speeds = []int{115200, 9600, 921600, 460800, 230400, 57600, 38400, 19200}

// How long one speed is tried. The default gets more, because a module that is
// just starting answers late. A whole round stays under 20 s, so that a dead
// module is known within 35 s; the ladder gives a booting one the 90 s that the
// hardware guide asks for before anything is reset.
const (
	trainFirst = 6
	trainOther = 2
	trainEach  = 800 * time.Millisecond
)

// probeCommands is how many commands it takes at most to know a module.
const probeCommands = 12

// unwrittenIMEI is what a module answers whose IMEI was never written (vendor
// FAQ): every such module has the same, so they would kick each other.
const unwrittenIMEI = "3520990017614823"

// probing opens the port, trains the baud rate, and finds out what answers.
func (s *Session) probing(ctx context.Context) (State, error) {
	s.attached = false
	if err := s.train(ctx); err != nil {
		return Probing, err
	}
	modem := s.line.modem
	s.health.expect(probeCommands * s.Cloud.Timeouts.Command)
	id, err := modem.Identify(ctx)
	if err != nil {
		return Probing, s.unanswered(NoAnswer, err)
	}
	caps, err := modem.Probe(ctx, id)
	var unsupported *air.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		s.showModem(id)
		return Probing, &Failure{Cause: FirmwareUnsupported, Hint: unsupported.Hint, Err: err}
	case err != nil:
		return Probing, s.unanswered(NoAnswer, err)
	}
	s.line.echoOff = !modem.Echoes()
	modem.SetCapabilities(caps)
	s.Carrier.Remember(caps)
	s.showModem(id)
	s.identify(id.IMEI)
	if s.identity.DeviceName == "" {
		return Probing, &Failure{Cause: NoAnswer, Hint: "the module tells no IMEI: set device.device_name", Err: errors.New("no IMEI and no device.device_name")}
	}
	return Attaching, nil
}

// train opens the port at one speed after the other until the module answers.
func (s *Session) train(ctx context.Context) error {
	s.dropLine()
	if err := s.waitOutDeaf(ctx); err != nil {
		return err
	}
	tries := trainFirst
	candidates := speeds
	if s.Modem.Baud != 0 {
		candidates = []int{s.Modem.Baud}
		tries = trainFirst * 3
	}
	for _, baud := range candidates {
		if err := s.openLine(ctx, baud); err != nil {
			return failed(PortMissing, err)
		}
		s.health.expect(time.Duration(tries) * trainEach)
		err := s.line.modem.Train(ctx, tries, trainEach)
		switch {
		case err == nil:
			s.Log.Debug("module answers", zap.Int("baud", baud))
			s.since = s.line.modem.Mark()
			return nil
		case ctx.Err() != nil:
			return err
		case !silence(err) && !errors.Is(err, atengine.ErrOutOfSync) && !errors.Is(err, atengine.ErrRebooted):
			return failed(NoAnswer, err)
		}
		tries = trainOther
	}
	return &Failure{Cause: NoAnswer, Err: errors.New("no OK at any speed")}
}

// identify settles the device name: the configured one, or the IMEI.
func (s *Session) identify(imei string) {
	s.identity.ProductKey = s.Device.ProductKey
	s.identity.DeviceName = s.Device.DeviceName
	if s.identity.DeviceName == "" {
		s.identity.DeviceName = imei
		if imei == unwrittenIMEI {
			s.warn("imei-unwritten", "the module's IMEI was never written, so every such module has the same name: set device.device_name")
		}
	}
	s.Board.Update(func(st *bus.Status) { st.Identity.DeviceName = bus.Known(s.identity.DeviceName) })
	s.keepFor(s.identity)
}

// showModem puts what was read into status and metrics.
func (s *Session) showModem(id air.Identity) {
	s.Recorder.ModemInfo(id.Model, id.Firmware)
	s.Board.Update(func(st *bus.Status) {
		st.Modem.Model, st.Modem.Firmware = bus.Known(id.Model), bus.Known(id.Firmware)
		st.Modem.IMEI, st.Modem.ICCID = bus.Known(id.IMEI), bus.Known(id.ICCID)
	})
}
