package metrics

import "time"

// Command counts an AT command: verb without AT and punctuation; result ok,
// error, cme, timeout, cancelled, rebooted or port; d from the first byte
// written to the final result.
func (m *Metrics) Command(verb, result string, d time.Duration) {
	result = oneOf(results, result)
	m.commands.observe(verbOf(verb), result, seconds(d))
	if result != "ok" {
		m.failures.WithLabelValues(result).Inc()
	}
}

// Bytes counts bytes on the serial line; direction is rx or tx.
func (m *Metrics) Bytes(direction string, n int) {
	m.serialBytes.add(float64(max(n, 0)), oneOf(directions, direction))
}

// Resync counts an attempt of the engine to get back in step, whatever its
// result; failures of it show as recoveries.
func (m *Metrics) Resync(string) { m.resyncs.Inc() }

// URC counts an unsolicited line by its kind.
func (m *Metrics) URC(kind string) { m.urcs.add(1, oneOf(m.labels.Kinds, kind)) }

// State notes the state the session is in. A state outside the closed set
// changes nothing.
func (m *Metrics) State(state string) { m.facts.enter(state) }

// Transition counts a change of state; an empty cause is progress.
func (m *Metrics) Transition(from, to, cause string) {
	cause = oneOf(m.labels.Causes, cause)
	m.facts.explain(to, cause)
	if to == "online" {
		m.logins.Inc()
	}
	if cause == "rebooted" {
		m.reboots.Inc()
	}
	m.transitions.add(1, oneOf(m.labels.States, from), oneOf(m.labels.States, to), cause)
}

// Published counts the end of one publish: outcome acked (QoS 1), sent (QoS 0),
// unknown (it will be repeated) or rejected. The time since acceptance counts
// for the acknowledged; a negative one is not known.
func (m *Metrics) Published(qos int, outcome string, sinceAccepted time.Duration) {
	m.published.add(1, qosOf(qos), oneOf(outcomes, outcome))
	if outcome == "acked" && sinceAccepted >= 0 {
		m.ackSeconds.Observe(seconds(sinceAccepted))
	}
}

// Turnaround is the time from a PUBACK to the next publish being written.
func (m *Metrics) Turnaround(d time.Duration) { m.turnaround.Observe(seconds(d)) }

// InFlight notes how many messages are in flight.
func (m *Metrics) InFlight(n int) { m.inFlight.Set(float64(n)) }

// Recovery counts one attempt on a rung of the ladder; result is ok or failed.
func (m *Metrics) Recovery(rung, result string) {
	m.recoveries.add(1, oneOf(m.labels.Rungs, rung), oneOf(verdicts, result))
}

// Signal notes the signal strength in dBm; nil: not known.
func (m *Metrics) Signal(dbm *int) { m.facts.note(func(f *facts) { f.signal = copied(dbm) }) }

// Registered notes whether the network has taken the module in; nil: not known.
func (m *Metrics) Registered(v *bool) { m.facts.note(func(f *facts) { f.registered = copied(v) }) }

// ModemInfo notes which module is there; both empty: none is known.
func (m *Metrics) ModemInfo(model, firmware string) {
	m.facts.note(func(f *facts) { f.model, f.firmware = printable(model), printable(firmware) })
}

// CloudBytes counts an estimate of bytes over the air.
func (m *Metrics) CloudBytes(cause string, n int) {
	m.cloudBytes.add(float64(max(n, 0)), oneOf(m.labels.ByteCauses, cause))
}

// Request counts a request on the local socket; route is the pattern that
// served it, d the time to the first byte of the answer.
func (m *Metrics) Request(route string, code int, d time.Duration) {
	m.requests.add(1, oneOf(m.labels.Paths, pathOf(route)), codeOf(code))
	m.requestTime.Observe(seconds(d))
}

// MQTTPublish counts a publish of an MQTT program by what became of it, a word of
// [Labels].
func (m *Metrics) MQTTPublish(outcome string) { m.mqttPublished.WithLabelValues(outcome).Inc() }

// MQTTConnect counts a connection of one by how it was answered, a word of [Labels].
func (m *Metrics) MQTTConnect(result string) { m.mqttConnects.WithLabelValues(result).Inc() }

// MQTTRetain counts a retain flag that is not kept.
func (m *Metrics) MQTTRetain() { m.mqttRetained.Inc() }

// Fsync is the time of one flush of the outbox to storage.
func (m *Metrics) Fsync(d time.Duration) { m.fsync.Observe(seconds(d)) }

// copied keeps a value that the caller may change.
func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
