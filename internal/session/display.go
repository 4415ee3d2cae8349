package session

import (
	"strings"
	"time"

	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/air"
	"airbridged/internal/bus"
	"airbridged/internal/outbox"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
)

// display shows others what the session does: the log, the status with its events,
// and the metrics. What is shown is never read back: what the session has to know of
// itself is in the part that owns it.
type display struct {
	log   *zap.Logger
	board *bus.StatusBoard
	meter Recorder
}

// begins shows what the configuration says.
func (d *display) begins(o Options) {
	d.board.Update(func(st *bus.Status) {
		st.Identity.ProductKey = o.Device.ProductKey
		st.Identity.DeviceName = bus.Known(o.Device.DeviceName)
		st.Cloud.Host = o.Cloud.Host
		st.Cloud.Auth = "direct"
		if o.Cloud.HTTPSAuth {
			st.Cloud.Auth = "https"
		}
	})
	d.meter.State(string(recovery.Probing))
}

// change is a change of state, with the failure that led to it, if one did.
type change struct {
	from, to recovery.State
	failure  *recovery.Failure
	pause    time.Duration // before the next attempt
	attempts int           // failures in a row
	quiet    bool          // the log has told enough of this outage
	folded   int           // lines that were not told before this one
	at       time.Time
}

// cause is what the change is about, and what can be done.
func (c change) cause() (recovery.Cause, string) {
	if c.failure == nil {
		return recovery.None, ""
	}
	return c.failure.Cause, c.failure.Advice()
}

// entered shows a change of state, in one line of the log, status, events and metrics.
func (d *display) entered(c change) {
	cause, hint := c.cause()
	d.meter.State(string(c.to))
	d.meter.Transition(string(c.from), string(c.to), string(cause))
	d.board.Update(func(st *bus.Status) {
		st.State, st.Since, st.Attempt, st.NextAttemptAt = string(c.to), c.at, c.attempts, nil
		if c.failure != nil || c.to == recovery.Online || c.to == recovery.Stopping {
			st.Cause, st.Hint = string(cause), hint
		}
		if c.pause > 0 {
			next := c.at.Add(c.pause)
			st.NextAttemptAt = &next
		}
	})
	d.board.Emit(bus.At(c.at, bus.Changed(api.Change{
		From: string(c.from), To: string(c.to), Cause: string(cause), Attempt: c.attempts, WaitSeconds: c.pause.Seconds(),
	})))
	fields := []zap.Field{zap.String("from", string(c.from)), zap.String("to", string(c.to))}
	if c.attempts > 0 {
		fields = append(fields, zap.Int("attempt", c.attempts))
	}
	level := zap.InfoLevel
	if c.failure != nil {
		level = zap.WarnLevel
		fields = append(fields, zap.String("cause", string(cause)), zap.Duration("wait", c.pause.Round(time.Millisecond)),
			zap.String("hint", hint))
		if c.failure.Err != nil { // some errors end with the hint
			fields = append(fields, zap.String("error", strings.TrimSuffix(c.failure.Err.Error(), "; "+hint)))
		}
	}
	if c.quiet {
		level = zap.DebugLevel
	}
	if c.folded > 0 {
		fields = append(fields, zap.Int("folded", c.folded))
	}
	d.log.Log(level, "state", fields...)
}

// warn tells of something that does not stop the session.
func (d *display) warn(code, detail string) {
	d.log.Warn(detail, zap.String("code", code))
	d.board.Emit(bus.Warned(code, detail))
}

// filterRefused shows a filter that is set aside, for as long as it is.
func (d *display) filterRefused(filter, reason string) {
	d.log.Warn("a subscription was set aside", zap.String("topic", filter), zap.String("detail", reason))
	d.board.SetWarning(bus.Warning{
		Code: bus.FilterRefused, About: filter, Detail: filter + ": " + reason,
		Hint: "check in the console that the device may subscribe to it; it is tried again, within an hour at the latest, and after a reload",
	})
}

// imeiUnwritten shows, for as long as it is so, that the device is named by an IMEI that
// many modules have.
func (d *display) imeiUnwritten(is bool, imei string) {
	if !is {
		d.board.ClearWarning(bus.IMEIUnwritten, "")
		return
	}
	detail := "the module's IMEI, " + imei + ", was never written, so every such module has the same name, and they throw each other out"
	d.log.Warn(detail, zap.String("code", string(bus.IMEIUnwritten)))
	d.board.SetWarning(bus.Warning{Code: bus.IMEIUnwritten, Detail: detail, Hint: "set device.device_name, or have the IMEI written by who sold the module"})
}

// filterTaken shows that one is no longer set aside.
func (d *display) filterTaken(filter string) { d.board.ClearWarning(bus.FilterRefused, filter) }

// settled shows that the failures of the past are over.
func (d *display) settled() { d.board.Update(func(st *bus.Status) { st.Attempt = 0 }) }

// waitsUntil shows when the next attempt is made, where that is not a matter of a
// failure.
func (d *display) waitsUntil(at time.Time) {
	d.board.Update(func(st *bus.Status) { st.NextAttemptAt = &at })
}

// climbed shows what became of a rung.
func (d *display) climbed(r recovery.Rung, err error) {
	if r == recovery.NoRung {
		return
	}
	result := "ok"
	if err != nil {
		result = "failed"
	}
	d.meter.Recovery(r.String(), result)
	d.log.Debug("recovery", zap.Stringer("rung", r), zap.String("result", result), zap.Error(err))
}

// module shows what was read of the module.
func (d *display) module(id air.Identity) {
	d.meter.ModemInfo(id.Model, id.Firmware)
	d.board.Update(func(st *bus.Status) {
		st.Modem.Model, st.Modem.Firmware = bus.Known(id.Model), bus.Known(id.Firmware)
		st.Modem.IMEI, st.Modem.ICCID = bus.Known(id.IMEI), bus.Known(id.ICCID)
	})
}

func (d *display) iccid(number string) {
	d.board.Update(func(st *bus.Status) { st.Modem.ICCID = bus.Known(number) })
}

func (d *display) deviceName(name string) {
	d.board.Update(func(st *bus.Status) { st.Identity.DeviceName = bus.Known(name) })
}

// signal shows the received signal strength; nil: it is not known.
func (d *display) signal(dbm *int) {
	d.meter.Signal(dbm)
	d.board.Update(func(st *bus.Status) { st.Modem.SignalDBm = dbm })
}

// registered shows whether the network has taken the module in; one that has not has no
// operator.
func (d *display) registered(v bool) {
	d.meter.Registered(&v)
	d.board.Update(func(st *bus.Status) {
		if st.Modem.Registered = &v; !v {
			st.Modem.Operator = nil
		}
	})
}

// forget takes back what is not known any more.
func (d *display) forget(what recovery.Lost) {
	if what == recovery.LostNothing {
		return
	}
	d.meter.Signal(nil)
	d.meter.Registered(nil)
	if what >= recovery.LostModule {
		d.meter.ModemInfo("", "")
	}
	d.board.Update(func(st *bus.Status) {
		m := &st.Modem
		m.SignalDBm, m.Registered, m.Operator = nil, nil, nil
		if what >= recovery.LostSIM {
			m.ICCID = nil
		}
		if what >= recovery.LostModule {
			m.Model, m.Firmware, m.IMEI = nil, nil, nil
		}
	})
}

func (d *display) operator(name string) {
	d.board.Update(func(st *bus.Status) { st.Modem.Operator = bus.Known(name) })
}

// networkTime shows what the network said at a moment of this machine's clock.
func (d *display) networkTime(told, at time.Time) {
	d.board.Update(func(st *bus.Status) { st.NetworkTime = &bus.NetworkTime{Told: told, At: at} })
}

// token shows how old the token in use is; nil: there is none.
func (d *display) token(t *provision.Token) {
	d.board.Update(func(st *bus.Status) {
		st.TokenAt = nil
		if t != nil {
			st.TokenAt = &t.ObtainedAt
		}
	})
}

// loggedIn counts a CONNECT, whatever the answer.
func (d *display) loggedIn() { d.board.Update(func(st *bus.Status) { st.Counters.Connects++ }) }

// published shows what became of messages, at the moment when they were acknowledged.
func (d *display) published(list []outbox.Message, state outbox.State, acked time.Time) {
	for _, m := range list {
		d.meter.Published(int(m.QoS), string(state), ageOf(m))
		d.board.Passing.Note(bus.Passed{Up: true, Topic: m.Topic, Bytes: len(m.Payload), QoS: int(m.QoS), Result: string(state)})
	}
	d.board.Update(func(st *bus.Status) {
		switch state {
		case outbox.Sent:
			st.Counters.Sent += uint64(len(list))
		case outbox.Acked:
			st.Counters.Acked += uint64(len(list))
			st.Counters.LastAckedAt = &acked
		}
	})
}

// ageOf is how long ago a message was accepted; negative: not known.
func ageOf(m outbox.Message) time.Duration {
	if m.AcceptedAt.IsZero() {
		return -1
	}
	return time.Since(m.AcceptedAt)
}

// unknown shows messages of which nobody knows whether they arrived.
func (d *display) unknown(list []outbox.Message) {
	for _, m := range list {
		d.meter.Published(int(m.QoS), "unknown", ageOf(m))
	}
	d.board.Update(func(st *bus.Status) { st.Counters.Unknown += uint64(len(list)) })
}

// received shows a message from the cloud.
func (d *display) received(topic string, payload []byte) {
	d.board.Passing.Note(bus.Passed{Topic: topic, Bytes: len(payload), QoS: -1})
	d.board.Update(func(st *bus.Status) { st.Counters.Downlink++ })
}

// pace shows how far apart publishes are kept; 0: they are not.
func (d *display) pace(gap time.Duration) {
	d.board.Update(func(st *bus.Status) {
		st.Cloud.PaceSeconds = nil
		if seconds := gap.Seconds(); seconds > 0 {
			st.Cloud.PaceSeconds = &seconds
		}
	})
}
