package air

import "bytes"

// registration is one line of +CREG, +CGREG or +CEREG.
type registration struct {
	stat int  // 3GPP TS 27.007 section 7.2: 0 not searching, 1 home, 2 searching, 3 denied, 4 unknown, 5 roaming, ...
	urc  bool // the line was not an answer
}

// registered says whether the network serves the module: at home, roaming, or
// either of them with "CSFB not preferred".
func (r registration) registered() bool {
	return r.stat == 1 || r.stat == 5 || r.stat == 9 || r.stat == 10
}

// parseRegistration reads both shapes of the line. An answer begins with the
// mode and has the status second, "+CREG: 0,1"; a URC begins with the status, and
// an area code follows, "+CREG: 1,"1863","01a2c315",7", or nothing. Their names
// are the same, and 780EPV firmware answers CEREG? under the name +CGREG.
func parseRegistration(line []byte) (registration, error) {
	rest, ok := registrationFields(line)
	if !ok {
		return registration{}, malformed("AT+CREG?")
	}
	first, more, several := bytes.Cut(rest, []byte{','})
	second, _, _ := bytes.Cut(more, []byte{','})
	second = bytes.TrimSpace(second)
	if several && len(second) > 0 && second[0] != '"' && len(second) <= 2 {
		if _, err := between(first, 0, 5); err != nil {
			return registration{}, malformed("AT+CREG?")
		}
		stat, err := between(second, 0, 11)
		return registration{stat: stat}, err
	}
	stat, err := between(first, 0, 11)
	if err == nil && several && len(second) < 3 {
		err = malformed("AT+CREG?")
	}
	return registration{stat: stat, urc: true}, err
}

func registrationFields(line []byte) ([]byte, bool) {
	for _, name := range []string{"+CREG", "+CGREG", "+CEREG"} {
		if rest, ok := answer(line, name); ok {
			return rest, true
		}
	}
	return nil, false
}

// isRegistrationReply tells the answer from a URC of the same name that came
// while the question was out.
func isRegistrationReply(line []byte) bool {
	r, err := parseRegistration(line)
	return err == nil && !r.urc
}
