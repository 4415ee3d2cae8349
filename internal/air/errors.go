package air

import (
	"cmp"
	"errors"
	"fmt"

	"airbridged/internal/atengine"
)

// Conditions that callers tell apart.
var (
	// ErrMalformed is an answer that does not have the form the manual gives it,
	// for instance because bytes were lost on the line.
	ErrMalformed = errors.New("malformed answer from the module")

	// ErrStarting: the module answers, and knows no command yet (CME 4 to everything).
	ErrStarting = errors.New("the module is still starting")

	// ErrNoSIM: there is no SIM (AT+CPIN?, CME 10).
	ErrNoSIM = errors.New("no usable SIM: is it inserted, the right way round, with clean contacts?")
	// ErrSIMLocked: the SIM or the module wants a PIN, a PUK or an unlock code.
	ErrSIMLocked = errors.New("the SIM is locked")
	// ErrSIMBusy: the SIM is still starting (CME 14, usual right after RDY).
	ErrSIMBusy = errors.New("the SIM is not ready yet")
	// ErrSIMFailed: the module cannot read the SIM (CME 13, 15, and what else it may say).
	ErrSIMFailed = errors.New("the SIM cannot be read")

	// ErrBearer: the data bearer does not open.
	ErrBearer = errors.New("the data bearer does not open: check the APN, and that the SIM has data left")
	// ErrBearerLost: the network took the data bearer away while something
	// waited for it (+PDP DEACT, +CGEV: NW PDN DEACT, +SAPBR 1: DEACT).
	ErrBearerLost = errors.New("the data bearer was lost")
	// ErrLinkLost: the MQTT link closed while a completion was awaited.
	ErrLinkLost = errors.New("the MQTT link was lost")

	// ErrNoSuchName: the network has no address for a host name.
	ErrNoSuchName = errors.New("the name does not resolve")

	// ErrConnectFailed: CONNECT FAIL. The module's STATE: text follows it.
	ErrConnectFailed = errors.New("no connection to the MQTT server")
	// ErrAlreadyConnected: ALREADY CONNECT, an earlier link is still up: hang up
	// and start over.
	ErrAlreadyConnected = errors.New("the module still holds an earlier MQTT link")
	// ErrConnectRefused: MCONNECT was answered by ERROR, or by OK and then ERROR or
	// CLOSED; the module does not tell the CONNACK code.
	ErrConnectRefused = errors.New("the MQTT server refused the login")

	// ErrRefusedBehindOK: the module accepted a command by OK and refused it then.
	ErrRefusedBehindOK = errors.New("accepted, and then refused")

	// ErrNotSent: the module refused the form of a publish, and nothing else was
	// answered: nothing went out.
	ErrNotSent = errors.New("the module refused the message, it was not sent")
	// ErrDoubtful: a block on the line went wrong while an answer was awaited, or a
	// second answer came, so that nothing is known of the outcome.
	ErrDoubtful = errors.New("the module's answer cannot be believed: a payload, or the answer to something else, may have been taken for it")
)

// ArgumentError is a value that cannot be written as an argument of an AT
// command. Nothing was written. It never holds the value.
type ArgumentError struct {
	Command  string // e.g. "AT+MCONFIG"
	Argument string // e.g. "client id"
	Reason   string
}

func (e *ArgumentError) Error() string {
	return fmt.Sprintf("%s: %s %s", e.Command, e.Argument, e.Reason)
}

// Unwrap makes the error recognisable as [atengine.ErrUnsafe].
func (e *ArgumentError) Unwrap() error { return atengine.ErrUnsafe }

// UnsupportedError is a firmware that cannot do TLS and MQTT by AT commands.
type UnsupportedError struct {
	Firmware string // as the module named it
	Reason   string // what it lacks
	Hint     string // what to flash
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("firmware %q %s: %s", e.Firmware, e.Reason, e.Hint)
}

// PayloadError is a message that the module at hand cannot carry. Nothing was
// written, and trying again is pointless.
type PayloadError struct {
	// TooLarge: Size is over Limit, both in bytes. Where the module takes only
	// the escaped form, Size counts the escaped bytes.
	TooLarge    bool
	Size, Limit int
	// Otherwise Byte at Offset cannot be carried, or an empty topic (Size 0).
	Offset int
	Byte   byte
	// Topic: it is the topic and not the payload.
	Topic bool
	// Where Limit is from: of Firmware, of modem.max_payload, or learned from refusals.
	Firmware            string
	Configured, Learned bool
}

func (e *PayloadError) Error() string {
	what := "payload"
	if e.Topic {
		what = "topic"
	}
	if e.TooLarge {
		return fmt.Sprintf("the %s takes %d bytes on the wire, %s", what, e.Size, e.limitText())
	}
	if e.Topic && e.Size == 0 {
		return "the topic is empty"
	}
	return fmt.Sprintf("the module cannot carry byte 0x%02X of the %s at offset %d", e.Byte, what, e.Offset)
}

// limitText says whose limit it is, and the key that sets another one.
func (e *PayloadError) limitText() string {
	const another = "(modem.max_payload sets another limit)"
	module := cmp.Or(e.Firmware, "the module")
	switch {
	case e.Topic:
		return fmt.Sprintf("the module takes %d", e.Limit)
	case e.Configured:
		return fmt.Sprintf("modem.max_payload is %d", e.Limit)
	case e.Learned:
		return fmt.Sprintf("%s was found to refuse more than %d %s", module, e.Limit, another)
	}
	return fmt.Sprintf("%s takes %d %s", module, e.Limit, another)
}

// httpReasons are the module's own status codes (AT manual 1.6.3, HTTPACTION).
var httpReasons = map[int]string{
	600: "not an HTTP answer",
	601: "network error",
	602: "the module is out of memory",
	603: "DNS error",
	604: "the module's stack is busy",
	605: "the TLS channel failed",
	606: "TLS alert from the server",
}

// HTTPError is an HTTPS request that ended with anything but status 200. Codes
// from 600 are the module's own.
type HTTPError struct{ Status int }

func (e *HTTPError) Error() string {
	if reason := httpReasons[e.Status]; reason != "" {
		return fmt.Sprintf("https request failed: %s (module status %d)", reason, e.Status)
	}
	return fmt.Sprintf("https request failed: status %d", e.Status)
}

// malformed says which answer was not understood. The answer itself stays out:
// it may hold a secret.
func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }
