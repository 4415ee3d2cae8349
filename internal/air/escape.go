package air

import "encoding/hex"

// The message of MPUB stands between quotes, with exactly four escapes (AT
// manual 1.6.3, MPUB): \5C for a backslash, \22 for a quote, \0D and \0A for CR
// and LF. No other escape is documented, so none is ever written: all other
// control bytes are refused. Bytes from 0x80 up go as they are.

// escapeCode is what follows the backslash for a byte that MPUB wants escaped.
func escapeCode(c byte) string {
	switch c {
	case '\\':
		return "5C"
	case '"':
		return "22"
	case '\r':
		return "0D"
	case '\n':
		return "0A"
	}
	return ""
}

// control says whether MPUB has no form for a byte.
func control(c byte) bool {
	return c == 0x7f || c < 0x20 && c != '\r' && c != '\n'
}

// escape returns the wire form of a payload for MPUB, or a [*PayloadError] with
// the first byte that has none.
func escape(payload []byte) ([]byte, error) {
	wire := make([]byte, 0, len(payload)+len(payload)/8)
	for i, c := range payload {
		code := escapeCode(c)
		switch {
		case control(c):
			return nil, &PayloadError{Size: len(payload), Offset: i, Byte: c}
		case code != "":
			wire = append(append(wire, '\\'), code...)
		default:
			wire = append(wire, c)
		}
	}
	return wire, nil
}

// hexadecimal returns the wire form of a payload for MPUB while MQTTMODE is 1:
// upper-case digits, two for each byte.
func hexadecimal(payload []byte) []byte {
	const digits = "0123456789ABCDEF"
	wire := make([]byte, 0, hex.EncodedLen(len(payload)))
	for _, c := range payload {
		wire = append(wire, digits[c>>4], digits[c&15])
	}
	return wire
}
