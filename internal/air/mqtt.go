package air

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"airbridged/internal/atengine"
	"airbridged/internal/secret"
)

// linkEnds are the lines after which no completion of an MQTT command comes.
var linkEnds = []EventKind{Closed, BearerLost}

// staged is a command whose OK only accepts it: one of the lines want completes it
// then, the loss of the link ends it, and a refusal may come instead of either.
func (m *Modem) staged(line string, want ...EventKind) atengine.Command {
	c := m.command(line)
	c.Completes = func(line []byte) bool {
		kind := Classify(line)
		return slices.Contains(want, kind) || slices.Contains(linkEnds, kind)
	}
	return c
}

// completion awaits the line that completes an MQTT command. CLOSED and the loss
// of the bearer end it as [ErrLinkLost]; a refusal behind the OK ends it as
// [atengine.ErrRefused], which [Modem.surely] has to look at.
func (m *Modem) completion(ctx context.Context, since atengine.Mark, timeout time.Duration, what string, want ...EventKind) (atengine.URC, EventKind, error) {
	urc, kind, err := m.await(ctx, since, timeout, what, want, append([]EventKind{StrayReply}, linkEnds...))
	switch {
	case err != nil:
	case kind == StrayReply:
		if refused, ok := atengine.Refusal("waiting for "+what, urc.Text); ok {
			err = fmt.Errorf("%w: %w", ErrRefusedBehindOK, refused)
		}
	case slices.Contains(linkEnds, kind):
		err = linkEnd(what, kind)
	}
	return urc, kind, err
}

// refusedBehindOK looks at the error of completion: a refusal that another answer
// follows, or the completion itself, is [ErrDoubtful].
func (m *Modem) refusedBehindOK(ctx context.Context, begun atengine.Mark, err error, completed EventKind) error {
	if _, no := refusal(err); !no || errors.Is(err, ErrDoubtful) {
		return err
	}
	err = m.surely(ctx, begun, err)
	events, _ := m.Since(begun)
	if slices.ContainsFunc(events, func(e Event) bool { return e.Kind == completed }) {
		err = fmt.Errorf("%w (%w)", ErrDoubtful, err)
	}
	return err
}

// linkEnd is the error of an awaited completion that one of linkEnds cut off.
func linkEnd(what string, kind EventKind) error {
	if kind == BearerLost {
		return fmt.Errorf("waiting for %s: %w: %w", what, ErrLinkLost, ErrBearerLost)
	}
	return fmt.Errorf("waiting for %s: %w", what, ErrLinkLost)
}

// Quiet settles how messages come and go, before any can: MQTTMSGSET=0, printed
// at once and not kept in four slots that overwrite each other; and the encoding,
// where the firmware has a choice. A module may have either setting left over
// from somebody else. Refusals are tolerated.
func (m *Modem) Quiet(ctx context.Context) error {
	if err := m.tell(ctx, m.command("AT+MQTTMSGSET=0")); err != nil {
		return err
	}
	wanted := m.caps.hexSession()
	if m.caps.Hex {
		begun := m.eng.Mark()
		_, err := m.do(ctx, "AT+MQTTMODE="+flag(wanted))
		err = m.surely(ctx, begun, err)
		if _, no := refusal(err); no && !errors.Is(err, ErrDoubtful) {
			wanted = false
		} else if err != nil {
			return err // in the wrong mode every message would be another one
		}
	}
	m.encoding(wanted)
	return nil
}

// encoding notes how messages go and come from now on.
func (m *Modem) encoding(hexadecimal bool) {
	m.hexOut.Store(hexadecimal)
	m.hexIn.Store(hexadecimal)
}

// Hangup ends the MQTT session and closes its connection. Results are ignored:
// there may be nothing to end (vendor note on MQTT over TLS).
func (m *Modem) Hangup(ctx context.Context) {
	for _, line := range []string{"AT+MDISCONNECT", "AT+MIPCLOSE"} {
		_, _ = m.do(ctx, line)
	}
	m.live.Store(false)
}

// Configure sets client id, user and password for the next connection; each has
// at most 256 bytes.
func (m *Modem) Configure(ctx context.Context, clientID, user string, password secret.Text) error {
	line, err := mconfigLine(clientID, user, password)
	if err != nil {
		return err
	}
	_, err = m.do(ctx, line)
	return err
}

// Dial opens the connection to the server, with TLS or without, and returns when
// it stands. Login must follow at once: a server closes a connection that stays
// silent. Errors: [ErrConnectFailed], [ErrAlreadyConnected], [ErrLinkLost].
func (m *Modem) Dial(ctx context.Context, host string, port int, tls bool) error {
	line, err := dialLine(host, port, tls)
	if err != nil {
		return err
	}
	m.expect(dialResults...)
	defer m.expect()
	m.dialled = m.eng.Mark()
	reply, err := m.eng.Do(ctx, m.staged(line, dialResults...))
	if _, no := refusal(err); no {
		return m.dialRefused(err)
	}
	if err != nil {
		return err
	}
	m.dialled = reply.Mark
	_, kind, err := m.completion(ctx, m.dialled, m.o.Timeouts.Connect, "CONNECT OK", dialResults...)
	err = m.refusedBehindOK(ctx, m.dialled, err, ConnectOK)
	_, no := refusal(err)
	switch {
	case no && !errors.Is(err, ErrDoubtful):
		return m.dialRefused(err)
	case err != nil:
		return err
	case kind == ConnectOK:
		return nil
	}
	return m.dialFailure(kind)
}

// dialResults end the wait behind the OK of a dial.
var dialResults = []EventKind{ConnectOK, ConnectFail, ConnectError, AlreadyConnected}

// dialFailure puts the module's STATE: text into the error.
func (m *Modem) dialFailure(kind EventKind) error {
	if kind == AlreadyConnected {
		return ErrAlreadyConnected
	}
	events, _ := m.Since(m.dialled)
	for _, e := range events {
		if e.Kind == ConnectState || e.Kind == ConnectError {
			return fmt.Errorf("%w: the module reports %.64q", ErrConnectFailed, e.Text)
		}
	}
	return fmt.Errorf("%w: the module gives no reason", ErrConnectFailed)
}

// dialRefused sorts an ERROR: some firmware says ALREADY CONNECT before it.
func (m *Modem) dialRefused(refused error) error {
	events, _ := m.Since(m.dialled)
	for _, e := range events {
		if e.Kind == AlreadyConnected {
			return fmt.Errorf("%w (%w)", ErrAlreadyConnected, refused)
		}
	}
	return fmt.Errorf("%w: %w", ErrConnectFailed, refused)
}

// Login sends MCONNECT and awaits CONNACK OK. keepalive is 1 s to 65535 s. The
// module does not tell why a server refuses: it answers ERROR, or OK and then ERROR
// (the vendor's page on MCONNECT) or CLOSED, and all are [ErrConnectRefused]. A link
// that closed before MCONNECT was written is [ErrLinkLost], for then nobody refused
// anything.
func (m *Modem) Login(ctx context.Context, clean bool, keepalive time.Duration) error {
	line, err := mconnectLine(clean, int(keepalive/time.Second))
	if err != nil {
		return err
	}
	if events, _ := m.Since(m.dialled); lastLink(events) != ConnectOK {
		return fmt.Errorf("before MCONNECT: %w", ErrLinkLost)
	}
	m.live.Store(true)
	m.expect(ConnAckOK)
	defer m.expect()
	begun := m.eng.Mark()
	reply, err := m.eng.Do(ctx, m.staged(line, ConnAckOK))
	err = m.surely(ctx, begun, err)
	if err == nil {
		if _, _, err = m.completion(ctx, reply.Mark, m.o.Timeouts.ConnAck, "CONNACK OK", ConnAckOK); err == nil {
			return nil
		}
		err = m.refusedBehindOK(ctx, begun, err, ConnAckOK)
	}
	if _, no := refusal(err); no && !errors.Is(err, ErrDoubtful) {
		return fmt.Errorf("%w (%w)", ErrConnectRefused, err)
	}
	if errors.Is(err, ErrLinkLost) && !errors.Is(err, ErrBearerLost) {
		return fmt.Errorf("%w (it closed the connection)", ErrConnectRefused)
	}
	return err
}

// lastLink returns the last word on the link in a row of events.
func lastLink(events []Event) EventKind {
	last := Closed
	for _, e := range events {
		switch e.Kind {
		case ConnectOK, Closed, BearerLost, Rebooted:
			last = e.Kind
		}
	}
	return last
}

// Subscribe asks the server for a filter and awaits SUBACK. The module does not
// tell the return code in it.
func (m *Modem) Subscribe(ctx context.Context, filter string, qos byte) error {
	line, err := msubLine(filter, qos)
	if err != nil {
		return err
	}
	return m.acknowledged(ctx, line, "SUBACK", SubAck)
}

// Unsubscribe gives a filter back and awaits UNSUBACK.
func (m *Modem) Unsubscribe(ctx context.Context, filter string) error {
	line, err := munsubLine(filter)
	if err != nil {
		return err
	}
	return m.acknowledged(ctx, line, "UNSUBACK", UnsubAck)
}

func (m *Modem) acknowledged(ctx context.Context, line, what string, want EventKind) error {
	m.expect(want)
	defer m.expect()
	begun := m.eng.Mark()
	reply, err := m.eng.Do(ctx, m.staged(line, want))
	if err != nil {
		return m.surely(ctx, begun, err)
	}
	_, _, err = m.completion(ctx, reply.Mark, m.o.Timeouts.SubAck, what, want)
	if err == nil {
		return m.surely(ctx, begun, nil)
	}
	return m.refusedBehindOK(ctx, begun, err, want)
}

// Alive asks the module for an OK and nothing else: that costs neither radio nor cloud.
func (m *Modem) Alive(ctx context.Context) error {
	_, err := m.eng.Do(ctx, atengine.Command{Line: "AT", Timeout: m.quick()})
	return err
}

// Link asks the module for the state of its MQTT link: CLOSED can get lost, and
// Air724 before V838 never sent it.
func (m *Modem) Link(ctx context.Context) (LinkState, error) {
	line, err := m.ask(ctx, "AT+MQTTSTATU", m.quick(), named("+MQTTSTATU"))
	if err != nil {
		return LinkOffline, err
	}
	return parseLink(line)
}
