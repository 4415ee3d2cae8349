package air

import "bytes"

// parseIMEI reads the answer to AT+CGSN, bare or behind "+CGSN:". An IMEI has 15
// digits; modules whose IMEI was never written all print the same 16 (vendor FAQ). One
// digit over and over is a memory that nobody has written to.
func parseIMEI(line []byte) (string, error) {
	if rest, ok := answer(line, "+CGSN"); ok {
		line = rest
	}
	line = unquote(line)
	if len(line) < 15 || len(line) > 16 || !digits(line) || len(bytes.Trim(line, string(line[:1]))) == 0 {
		return "", malformed("AT+CGSN: no IMEI of 15 digits")
	}
	return string(line), nil
}

// parseICCID reads the SIM's number: bare, or behind +CCID:, +ICCID: or +QCCID:,
// in quotes or not; the F that pads it goes. Some cards have letters in it, and a
// vendor's test card has "NC0256459" (vendor log): behind its name any letters and
// digits are one.
func parseICCID(line []byte) (string, error) {
	named := false
	for _, name := range []string{"+CCID", "+ICCID", "+QCCID"} {
		if rest, ok := answer(line, name); ok {
			line, named = rest, true
			break
		}
	}
	line = bytes.TrimRight(unquote(line), "Ff")
	least := 18
	for _, c := range line {
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		switch {
		case isHex(c):
		case !named || !letter:
			return "", malformed("AT+CCID: no ICCID")
		default:
			least = 8
		}
	}
	if len(line) < least || len(line) > 20 {
		return "", malformed("AT+CCID: no ICCID of 18 to 20 digits")
	}
	return string(line), nil
}

// isFirmwareReply recognises the answer to AT+CGMR and the lines of ATI. Both
// may be bare, so what is known to be something else is not theirs.
func isFirmwareReply(line []byte) bool {
	if _, err := parseFirmware(line); err == nil {
		return true
	}
	return Classify(line) == Unknown && !bytes.HasPrefix(line, []byte("+MSUB"))
}

// isIMEIReply takes any bare number of some length, and what is nothing else that is
// known, so that what a module says instead of an IMEI is seen.
func isIMEIReply(line []byte) bool {
	_, named := answer(line, "+CGSN")
	return named || len(unquote(line)) >= 10 && digits(unquote(line)) || Classify(line) == Unknown && !bytes.HasPrefix(line, []byte("+MSUB"))
}

func isICCIDReply(line []byte) bool {
	_, err := parseICCID(line)
	return err == nil
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
