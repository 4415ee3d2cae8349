package air

import (
	"bytes"
	"net/netip"
	"strings"
	"unicode"
)

// Every parser in this file takes one whole line, refuses what the manual does
// not give it (range, number of values, stray signs), and returns an error for
// it: a truncated line is never a value.

// answer returns what follows "name:" in a line. Blanks around the colon are
// allowed: the module prints "+MQTTSTATU :1" and both "+HTTPACTION: 1" and
// "+HTTPACTION:1".
func answer(line []byte, name string) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(line, []byte(name))
	if !ok {
		return nil, false
	}
	rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, " "), []byte{':'})
	return bytes.TrimSpace(rest), ok
}

// decimal reads a number of 1 to 9 digits and nothing else.
func decimal(b []byte) (int, error) {
	if len(b) == 0 || len(b) > 9 {
		return 0, malformed("a number is missing or too long")
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, malformed("a number has other bytes than digits")
		}
		n = 10*n + int(c-'0')
	}
	return n, nil
}

// between reads a number from least to most.
func between(b []byte, least, most int) (int, error) {
	n, err := decimal(bytes.TrimSpace(b))
	if err == nil && (n < least || n > most) {
		err = malformed("a number is out of range")
	}
	return n, err
}

// unquote takes a pair of quotes off, if there is one.
func unquote(b []byte) []byte {
	b = bytes.TrimSpace(b)
	if len(b) >= 2 && b[0] == '"' && b[len(b)-1] == '"' {
		return b[1 : len(b)-1]
	}
	return b
}

// parseSignal reads "+CSQ: 29,99" into dBm = -113 + 2n (3GPP TS 27.007 section
// 8.5); nil for 99, not known.
func parseSignal(line []byte) (*int, error) {
	rest, ok := answer(line, "+CSQ")
	fields := bytes.Split(rest, []byte{','})
	if !ok || len(fields) != 2 {
		return nil, malformed("AT+CSQ")
	}
	rssi, err := between(fields[0], 0, 99)
	if err != nil {
		return nil, err
	}
	if ber, err := between(fields[1], 0, 99); err != nil || ber > 7 && ber != 99 {
		return nil, malformed("AT+CSQ")
	}
	switch {
	case rssi == 99:
		return nil, nil
	case rssi > 31:
		return nil, malformed("AT+CSQ")
	}
	dbm := -113 + 2*rssi
	return &dbm, nil
}

// parseOperator reads `+COPS: 0,0,"CHINA MOBILE",7`, without quotes too, as the manual
// writes a number; "" for "+COPS: 0" and an empty name, no operator selected.
func parseOperator(line []byte) (string, error) {
	rest, ok := answer(line, "+COPS")
	mode, more, chosen := bytes.Cut(rest, []byte{','})
	if _, err := between(mode, 0, 4); !ok || err != nil {
		return "", malformed("AT+COPS?")
	}
	if !chosen {
		return "", nil
	}
	format, name, ok := bytes.Cut(more, []byte{','})
	if _, err := between(format, 0, 2); !ok || err != nil {
		return "", malformed("AT+COPS?")
	}
	if len(name) == 0 || name[0] != '"' {
		return parseBareOperator(name)
	}
	// The name may hold a comma, so it ends at the last quote.
	last := bytes.LastIndexByte(name, '"')
	if last < 1 {
		return "", malformed("AT+COPS?")
	}
	if tail := name[last+1:]; len(tail) > 0 {
		if _, err := between(bytes.TrimPrefix(tail, []byte{','}), 0, 15); tail[0] != ',' || err != nil {
			return "", malformed("AT+COPS?")
		}
	}
	return printable(name[1:last]), nil
}

// parseBareOperator reads what stands behind the format of +COPS without quotes: the
// operator's number of 5 or 6 digits, or a name with the access technology behind it,
// so that one which lost its end is told from a whole one.
func parseBareOperator(text []byte) (string, error) {
	name, act, more := bytes.Cut(text, []byte{','})
	if _, err := between(act, 0, 15); more && err != nil {
		return "", malformed("AT+COPS?")
	}
	number := digits(name) && (len(name) == 5 || len(name) == 6)
	if !number && (!more || len(name) == 0 || bytes.ContainsAny(name, `"+*$:`)) {
		return "", malformed("AT+COPS?")
	}
	return printable(bytes.TrimSpace(name)), nil
}

// printable replaces what does not belong on a status page or in a log: what is not
// printed could steer a terminal, turn a text around or begin a line of its own.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r == '\uFFFD' || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, string(b))
}

// parseAttached reads "+CGATT: 1".
func parseAttached(line []byte) (bool, error) {
	rest, ok := answer(line, "+CGATT")
	n, err := between(rest, 0, 1)
	if !ok || err != nil {
		return false, malformed("AT+CGATT?")
	}
	return n == 1, nil
}

// bearer is the answer to AT+SAPBR=2,1.
type bearer struct {
	status  int // 0 connecting, 1 connected, 2 closing, 3 closed
	address netip.Addr
}

const (
	bearerConnecting = 0
	bearerConnected  = 1
)

// up says whether the bearer is connected and has an address.
func (b bearer) up() bool {
	return b.status == bearerConnected && b.address.IsValid() && !b.address.IsUnspecified()
}

// parseBearer reads `+SAPBR: 1,1,"10.159.1.145"` or, zero-padded and without
// quotes, "+SAPBR: 1,1,010.169.179.213"; with two addresses where the network gives
// IPv4 and IPv6, of which the first that is one counts. The address may be missing or
// empty unless the bearer is connected.
func parseBearer(line []byte) (bearer, error) {
	rest, ok := answer(line, "+SAPBR")
	fields := bytes.Split(rest, []byte{','})
	if !ok || len(fields) < 2 {
		return bearer{}, malformed("AT+SAPBR=2,1")
	}
	if _, err := between(fields[0], 1, 3); err != nil {
		return bearer{}, err
	}
	status, err := between(fields[1], 0, 3)
	if err != nil {
		return bearer{}, err
	}
	b := bearer{status: status}
	if len(fields) > 2+bearerAddresses {
		return b, malformed("AT+SAPBR=2,1: too many addresses")
	}
	for _, field := range fields[2:] {
		if string(bytes.TrimSpace(field)) == `""` {
			continue
		}
		a, err := parseAddress(unquote(field))
		if err != nil {
			return b, err
		}
		if !b.address.IsValid() || b.address.IsUnspecified() {
			b.address = a
		}
	}
	if status == bearerConnected && !b.address.IsValid() {
		return b, malformed("AT+SAPBR=2,1: no address")
	}
	return b, nil
}

// bearerAddresses is how many addresses a bearer can have.
const bearerAddresses = 2

// parseAddress reads an IP address; the parts of an IPv4 address may be padded
// with zeros, and are decimal all the same.
func parseAddress(b []byte) (netip.Addr, error) {
	parts := bytes.Split(b, []byte{'.'})
	if len(parts) != 4 {
		a, err := netip.ParseAddr(string(b))
		if err != nil || a.Is4() || a.Zone() != "" {
			return netip.Addr{}, malformed("an IP address")
		}
		return a, nil
	}
	var a [4]byte
	for i, part := range parts {
		n, err := decimal(part)
		if err != nil || n > 255 || len(part) > 3 {
			return netip.Addr{}, malformed("an IP address")
		}
		a[i] = byte(n)
	}
	return netip.AddrFrom4(a), nil
}

// isAddress recognises the bare address that AT+CIFSR answers, without an OK.
func isAddress(line []byte) bool {
	a, err := parseAddress(bytes.TrimSpace(line))
	return err == nil && !a.IsUnspecified()
}

// action is the outcome of HTTPACTION.
type action struct{ status, length int }

// parseAction reads "+HTTPACTION: 1,200,149". The method is not compared: vendor
// logs show a POST answered with method 0.
func parseAction(line []byte) (action, error) {
	rest, ok := answer(line, "+HTTPACTION")
	fields := bytes.Split(rest, []byte{','})
	if !ok || len(fields) != 3 {
		return action{}, malformed("AT+HTTPACTION")
	}
	if _, err := between(fields[0], 0, 9); err != nil {
		return action{}, err
	}
	status, err := between(fields[1], 100, 999)
	if err != nil {
		return action{}, err
	}
	length, err := decimal(bytes.TrimSpace(fields[2]))
	return action{status, length}, err
}

// LinkState is what the module says of its MQTT link (AT manual 1.6.3,
// MQTTSTATU).
type LinkState int

// The states of the link.
const (
	LinkOffline LinkState = 0 // no connection
	LinkUp      LinkState = 1 // logged in
	LinkTCP     LinkState = 2 // connected, MCONNECT is due
)

// parseLink reads "+MQTTSTATU :1", with its blank before the colon or without.
func parseLink(line []byte) (LinkState, error) {
	rest, ok := answer(line, "+MQTTSTATU")
	n, err := between(rest, 0, 2)
	if !ok || err != nil {
		return LinkOffline, malformed("AT+MQTTSTATU")
	}
	return LinkState(n), nil
}
