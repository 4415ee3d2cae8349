package air

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"airbridged/internal/atengine"
)

// NetworkState is what the network has let the module be: one line of +CREG, +CGREG or
// +CEREG.
type NetworkState struct {
	stat   int    // 3GPP TS 27.007 section 7.2 and 10.1.22
	reject int    // why the network refuses, where the module tells (3GPP TS 24.301 section 9.9.3.9); 0: it does not
	name   string // of the line, such as "+CEREG"
	urc    bool   // the line was not an answer
	attach string // how AT+CGATT=1 was refused by the network; empty: it was not
}

// Registered says whether the network serves the module: at home, roaming, or
// either of them with "CSFB not preferred".
func (r NetworkState) Registered() bool {
	return r.stat == 1 || r.stat == 5 || r.stat == 9 || r.stat == 10
}

// Denied says whether the network refuses the module or its SIM, and not only fails to be
// found.
func (r NetworkState) Denied() bool { return r.stat == 3 || r.attach != "" }

// attachRefusals are the numbers of +CME ERROR with which a module passes the network's
// refusal of packet data on (3GPP TS 27.007 section 9.2.2.1), by its reason there.
var attachRefusals = map[int]int{103: 3, 106: 6, 107: 7, 108: 8, 111: 11, 112: 12, 113: 13}

// Attached takes in what became of [Modem.Attach].
func (r NetworkState) Attached(err error) NetworkState {
	code, no := refusal(err)
	if reason := attachRefusals[code]; no && reason != 0 {
		r.attach = saidBy(err) + ", " + rejectWords[reason]
	}
	return r
}

// SMSOnly says whether the network serves the module for short messages and no more.
func (r NetworkState) SMSOnly() bool { return r.stat == 6 || r.stat == 7 }

// EmergencyOnly says whether it serves it for emergency calls and no more.
func (r NetworkState) EmergencyOnly() bool { return r.stat == 8 || r.stat == 11 }

// Partly says whether the module is on a network in another way than with packet data,
// or does not know: that alone is no loss of a connection that works.
func (r NetworkState) Partly() bool {
	return r.stat == 4 || r.SMSOnly() || r.EmergencyOnly()
}

// statWords are the values of stat in the words of 3GPP TS 27.007.
var statWords = [...]string{
	"not registered, and not searching", "registered, home network", "not registered, searching", "registration denied",
	"unknown", "registered, roaming", "registered for SMS only, home network", "registered for SMS only, roaming",
	"emergency calls only", "registered, home network, CSFB not preferred", "registered, roaming, CSFB not preferred",
	"emergency calls only",
}

// rejectWords are the reasons of a network that are the same for GPRS and LTE (3GPP TS
// 24.008 section 10.5.5.14, 24.301 section 9.9.3.9).
var rejectWords = map[int]string{
	2: "the SIM is not known to its operator", 3: "the SIM is not allowed", 5: "the IMEI is not accepted", 6: "the module is not allowed",
	7: "packet data is not allowed for this SIM", 8: "no service at all is allowed for this SIM",
	11: "this network is not allowed", 12: "this area is not allowed", 13: "roaming is not allowed in this area",
	14: "packet data is not allowed in this network", 15: "no suitable cell in this area", 22: "the network is congested",
}

// String is the answer in the words of the standard: "+CEREG: 3, registration denied".
func (r NetworkState) String() string {
	words := "unknown"
	if r.stat < len(statWords) {
		words = statWords[r.stat]
	}
	text := r.name + ": " + strconv.Itoa(r.stat) + ", " + words
	if r.attach != "" {
		text += "; to AT+CGATT=1: " + r.attach
	}
	if r.reject == 0 {
		return text
	}
	text += "; the network's reason: " + strconv.Itoa(r.reject)
	if why := rejectWords[r.reject]; why != "" {
		text += ", " + why
	}
	return text
}

// NetworkError is a registration without packet data, where it is needed.
type NetworkError struct{ State NetworkState }

func (e *NetworkError) Error() string {
	return fmt.Sprintf("the module says %q", e.State)
}

// NetworkState asks for the registration: AT+CEREG?, and AT+CREG? on modules without
// LTE, which do not know the first.
func (m *Modem) NetworkState(ctx context.Context) (NetworkState, error) {
	line, err := m.ask(ctx, "AT+CEREG?", m.o.Timeouts.Command, isRegistrationReply)
	if _, no := refusal(err); no {
		line, err = m.ask(ctx, "AT+CREG?", m.o.Timeouts.Command, isRegistrationReply)
	}
	if err != nil {
		return NetworkState{}, err
	}
	return parseRegistration(line)
}

// Undecided says of an error that the module was there and could not or would not tell.
func Undecided(err error) bool {
	return errors.Is(err, atengine.ErrRefused) || errors.Is(err, ErrMalformed)
}

// parseRegistration reads both shapes of the line. An answer begins with the
// mode and has the status second, "+CREG: 0,1"; a URC begins with the status, and
// an area code follows, "+CREG: 1,"1863","01a2c315",7", or nothing. Their names
// are the same, and 780EPV firmware answers CEREG? under the name +CGREG.
func parseRegistration(line []byte) (NetworkState, error) {
	name, rest, ok := registrationFields(line)
	if !ok {
		return NetworkState{}, malformed("AT+CREG?")
	}
	first, more, several := bytes.Cut(rest, []byte{','})
	second, _, _ := bytes.Cut(more, []byte{','})
	second = bytes.TrimSpace(second)
	if several && len(second) > 0 && second[0] != '"' && len(second) <= 2 {
		if _, err := between(first, 0, 5); err != nil {
			return NetworkState{}, malformed("AT+CREG?")
		}
		stat, err := between(second, 0, 11)
		return NetworkState{stat: stat, reject: rejectCause(rest), name: name}, err
	}
	stat, err := between(first, 0, 11)
	if err == nil && several && len(second) < 3 {
		err = malformed("AT+CREG?")
	}
	return NetworkState{stat: stat, name: name, urc: true}, err
}

// rejectCause is the last of an answer's seven values, "+CEREG: 3,3,,,,0,15", which
// modules tell that were once told to (AT+CEREG=3); 0 before it says whose number it is.
func rejectCause(rest []byte) int {
	fields := bytes.Split(rest, []byte{','})
	if len(fields) != 7 || string(bytes.TrimSpace(fields[5])) != "0" {
		return 0
	}
	cause, err := between(fields[6], 1, 255)
	if err != nil {
		return 0
	}
	return cause
}

func registrationFields(line []byte) (name string, rest []byte, ok bool) {
	for _, name := range []string{"+CREG", "+CGREG", "+CEREG"} {
		if rest, ok := answer(line, name); ok {
			return name, rest, true
		}
	}
	return "", nil, false
}

// isRegistrationReply tells the answer from a URC of the same name that came
// while the question was out.
func isRegistrationReply(line []byte) bool {
	r, err := parseRegistration(line)
	return err == nil && !r.urc
}
