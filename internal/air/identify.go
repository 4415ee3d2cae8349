package air

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"go.uber.org/zap"

	"airbridged/internal/atengine"
)

// Identity is what the module says it is. A field that the module does not tell
// is empty; Firmware never is.
type Identity struct {
	Firmware, Model, IMEI, ICCID string

	NoIMEI string // what the module said where an IMEI was asked for, while IMEI is empty
	Second bool   // AT+CGSN told no IMEI, and AT+CGSN=1 did
}

// Identify switches the echo off and errors to numbers, which somebody may have
// left as words or switched off for good (AT+CMEE, AT&W), and asks for firmware, IMEI
// and ICCID. It returns [ErrStarting] for a module that is not ready for questions yet.
func (m *Modem) Identify(ctx context.Context) (Identity, error) {
	for _, setting := range []string{"ATE0", "AT+CMEE=1"} {
		if err := m.tell(ctx, m.command(setting)); err != nil {
			return Identity{}, err
		}
	}
	firmware, err := m.firmware(ctx)
	if err != nil {
		return Identity{}, err
	}
	id := Identity{Firmware: firmware, Model: modelOf(firmware)}
	if id.IMEI, id.NoIMEI, id.Second, err = m.askIMEI(ctx); err != nil {
		return Identity{}, err
	}
	if id.ICCID, err = m.optional("ICCID")(m.ICCID(ctx)); err != nil {
		return Identity{}, err
	}
	return id, nil
}

// optional turns a refusal and an unreadable answer into nothing: a module
// without the one or the other can still do its work.
func (m *Modem) optional(what string) func(string, error) (string, error) {
	return func(value string, err error) (string, error) {
		if _, no := refusal(err); no || errors.Is(err, ErrMalformed) {
			m.log.Warn("the module does not tell its "+what, zap.Error(err))
			return "", nil
		}
		return value, err
	}
}

// firmware asks AT+CGMR, and ATI where that has no name in its answer. A module
// of another make is named by its own first line, so that it can be refused by
// name.
func (m *Modem) firmware(ctx context.Context) (string, error) {
	stranger, early := "", false
	for _, line := range []string{"AT+CGMR", "ATI"} {
		reply, err := m.eng.Do(ctx, atengine.Command{Line: line, Info: isFirmwareReply, Timeout: m.o.Timeouts.Command})
		code, no := refusal(err)
		if err != nil && !no {
			return "", err
		}
		early = early || no && code == notSupported
		for _, info := range reply.Info {
			if name, err := parseFirmware(info); err == nil {
				return name, nil
			}
			if text := printable(info); stranger == "" && len(text) <= 64 {
				stranger = text
			}
		}
	}
	if early {
		if err := m.starting(ctx); err != nil {
			return "", err
		}
	}
	if stranger == "" {
		return "", malformed("AT+CGMR and ATI: no firmware name")
	}
	return stranger, nil
}

// IMEI asks for the module's number: AT+CGSN, and AT+CGSN=1 where that answers none
// (3GPP TS 27.007 section 5.4: 1 is the IMEI; without it the answer is up to the
// vendor). Where there is none to be had it is empty, and said is what the module
// said instead.
func (m *Modem) IMEI(ctx context.Context) (imei, said string, err error) {
	imei, said, _, err = m.askIMEI(ctx)
	return imei, said, err
}

func (m *Modem) askIMEI(ctx context.Context) (imei, said string, second bool, err error) {
	for i, line := range []string{"AT+CGSN", "AT+CGSN=1"} {
		reply, err := m.eng.Do(ctx, atengine.Command{Line: line, Info: isIMEIReply, Timeout: m.o.Timeouts.Command})
		code, no := refusal(err)
		if err != nil && !no {
			return "", "", false, err
		}
		if no && code == notSupported && i == 0 {
			if err := m.starting(ctx); err != nil {
				return "", "", false, err
			}
		}
		for _, info := range slices.Backward(reply.Info) {
			if imei, err := parseIMEI(info); err == nil {
				return imei, "", i > 0, nil
			}
		}
		if said == "" {
			said = saidInstead(reply.Info, err)
		}
	}
	m.log.Warn("the module does not tell its IMEI", zap.String("detail", said))
	return "", said, false, nil
}

// longestIMEI bounds what is shown of an answer that is no IMEI, in bytes: what is
// longer is no number of a module, and may be anything.
const longestIMEI = 17

// saidInstead is what was answered where an IMEI was expected, in words.
func saidInstead(info [][]byte, refused error) string {
	if refused != nil {
		return saidBy(refused)
	}
	if len(info) == 0 {
		return "nothing but OK"
	}
	value := info[len(info)-1]
	if rest, ok := answer(value, "+CGSN"); ok {
		value = rest
	}
	value = unquote(value)
	if len(value) > longestIMEI {
		return strconv.Itoa(len(value)) + " characters that are no IMEI"
	}
	return strconv.Quote(printable(value))
}

// ICCID asks for the SIM's number: AT+CCID, and AT+ICCID where that is refused,
// as it is on Air724 before V301833 the first time.
func (m *Modem) ICCID(ctx context.Context) (string, error) {
	line, err := m.ask(ctx, "AT+CCID", m.o.Timeouts.Command, isICCIDReply)
	if _, no := refusal(err); no || errors.Is(err, ErrMalformed) {
		line, err = m.ask(ctx, "AT+ICCID", m.o.Timeouts.Command, isICCIDReply)
	}
	if err != nil {
		return "", err
	}
	return parseICCID(line)
}

// Probe finds out what the module can carry. It returns an [*UnsupportedError]
// for firmware that cannot do TLS and MQTT: by name where the name is known to
// tell, else by asking for the test forms of two commands that it needs.
func (m *Modem) Probe(ctx context.Context, id Identity) (Capabilities, error) {
	asked, unsupported := judge(id.Firmware)
	if unsupported != nil {
		return Capabilities{}, unsupported
	}
	if asked {
		if err := m.needs(ctx, id); err != nil {
			return Capabilities{}, err
		}
	}
	row := moduleOf(id.Firmware)
	c := Capabilities{Firmware: id.Firmware, Model: id.Model, MaxPayload: row.Payload, Assumed: row.Limit == Assumed}
	var err error
	if c.MPUBEX, err = m.has(ctx, "AT+MPUBEX=?"); err != nil {
		return Capabilities{}, err
	}
	if echoesData(id.Firmware) {
		c.MPUBEX = false
	}
	if c.Hex, err = m.has(ctx, "AT+MQTTMODE?"); err != nil {
		return Capabilities{}, err
	}
	m.caps = c
	return c, nil
}

// needs asks for the commands without which there is no session.
func (m *Modem) needs(ctx context.Context, id Identity) error {
	for _, need := range []struct{ line, lacks string }{
		{"AT+SSLMIPSTART=?", "TLS for MQTT (AT+SSLMIPSTART)"},
		{"AT+MCONFIG=?", "MQTT (AT+MCONFIG)"},
	} {
		ok, err := m.has(ctx, need.line)
		if err != nil {
			return err
		}
		if !ok {
			return &UnsupportedError{
				id.Firmware, "has no " + need.lacks,
				"flash an AT firmware with MQTT and TLS (4G: AirM2M_..._LTE_AT, 2G: AirM2M_..._AT_S_SSL)",
			}
		}
	}
	return nil
}

// has asks for a command by its test or read form. The module knows it unless it
// answers ERROR, "not supported" (4), "invalid command line" (58) or "unknown"
// (100); any other number is a passing trouble.
func (m *Modem) has(ctx context.Context, line string) (bool, error) {
	_, err := m.do(ctx, line)
	if code, no := refusal(err); no {
		switch code {
		case notSupported:
			return false, m.starting(ctx)
		case 58, 100:
			return false, nil
		case atengine.PlainError:
			if plain(err) {
				return false, nil
			}
		}
	}
	return err == nil, err
}

// notSupported is the number with which a module refuses a command that it does not
// know, and every command in its first seconds (AT manual 1.6.3, section 3.15; field
// notes of an Air780E: up to 30 s after power-on).
const notSupported = 4

// starting is [ErrStarting] where the module says of a command that every module knows
// that it is not supported: then that number is no judgement on any other either.
func (m *Modem) starting(ctx context.Context) error {
	_, err := m.do(ctx, "AT+CFUN?")
	code, no := refusal(err)
	switch {
	case no && code == notSupported:
		return ErrStarting
	case no:
		return nil
	}
	return err
}

// command is a plain command with the usual deadline.
func (m *Modem) command(line string) atengine.Command {
	return atengine.Command{Line: line, Timeout: m.o.Timeouts.Command}
}
