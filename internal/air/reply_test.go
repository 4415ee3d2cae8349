package air

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// parsers renders what each parser makes of a line, so that one table and one
// fuzz target hold them all. An error is "".
var parsers = map[string]func(line []byte) string{
	"CSQ": func(b []byte) string {
		dbm, err := parseSignal(b)
		switch {
		case err != nil:
			return ""
		case dbm == nil:
			return "unknown"
		}
		return fmt.Sprint(*dbm)
	},
	"COPS": func(b []byte) string {
		name, err := parseOperator(b)
		if err != nil {
			return ""
		}
		return fmt.Sprintf("%q", name)
	},
	"CGATT": func(b []byte) string { return render(parseAttached(b)) },
	"CPIN": func(b []byte) string {
		switch err := parsePIN(b); {
		case err == nil:
			return "ready"
		case errors.Is(err, ErrNoSIM):
			return "none"
		case errors.Is(err, ErrSIMLocked):
			return "locked"
		case errors.Is(err, ErrSIMBusy):
			return "busy"
		case errors.Is(err, ErrSIMFailed):
			return "failed"
		}
		return ""
	},
	"CREG": func(b []byte) string {
		r, err := parseRegistration(b)
		if err != nil {
			return ""
		}
		return fmt.Sprintf("stat %d urc %v registered %v", r.stat, r.urc, r.Registered())
	},
	"SAPBR": func(b []byte) string {
		r, err := parseBearer(b)
		if err != nil {
			return ""
		}
		return fmt.Sprintf("%d %v %v", r.status, r.address, r.up())
	},
	"HTTPACTION": func(b []byte) string { return render(parseAction(b)) },
	"MQTTSTATU":  func(b []byte) string { return render(parseLink(b)) },
	"CGSN":       func(b []byte) string { return render(parseIMEI(b)) },
	"CCID":       func(b []byte) string { return render(parseICCID(b)) },
	"CGMR":       func(b []byte) string { return render(parseFirmware(b)) },
	"CIFSR":      func(b []byte) string { return map[bool]string{true: "yes"}[isAddress(b)] },
	"HTTPREAD":   func(b []byte) string { return renderBytes(parseHTTPRead(b)) },
	"MSUB": func(b []byte) string {
		topic, payload, err := parseMSUB(b)
		if err != nil {
			return ""
		}
		return fmt.Sprintf("%q %q", topic, payload)
	},
}

func render(v any, err error) string {
	if err != nil {
		return ""
	}
	return fmt.Sprint(v)
}

func renderBytes(v []byte, err error) string {
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%q", v)
}

// replyVectors: what vendor manuals, vendor logs and field logs print, and broken
// forms of it.
var replyVectors = []struct{ parser, line, want string }{
	{"CSQ", "+CSQ: 29,99", "-55"},
	{"CSQ", "+CSQ: 22,0", "-69"},
	{"CSQ", "+CSQ:0,0", "-113"},
	{"CSQ", "+CSQ: 31,99", "-51"},
	{"CSQ", "+CSQ: 99,99", "unknown"},
	{"CSQ", "+CSQ: 32,99", ""},
	{"CSQ", "+CSQ: 29", ""},
	{"CSQ", "+CSQ: 29,", ""},
	{"CSQ", "+CSQ: ,99", ""},
	{"CSQ", "+CSQ: -1,99", ""},
	{"CSQ", "+CSQ: +5,99", ""},
	{"CSQ", "+CSQ: 29,8", ""},
	{"CSQ", "+CSQ: 99999999999999999999,0", ""},
	{"CSQ", "+CSQ 29,99", ""},
	{"COPS", `+COPS: 0,0,"CHINA MOBILE",7`, `"CHINA MOBILE"`},
	{"COPS", `+COPS: 0,0,"CHINA MOBILE"`, `"CHINA MOBILE"`},
	{"COPS", `+COPS: 0,2,"46000",7`, `"46000"`},
	{"COPS", `+COPS: 0,0,"A,B",7`, `"A,B"`},
	{"COPS", "+COPS: 0,2,46001,7", `"46001"`},
	{"COPS", "+COPS: 0,2,46001", `"46001"`},
	{"COPS", "+COPS: 0,0,CHINA MOBILE,7", `"CHINA MOBILE"`},
	{"COPS", `+COPS: 0,0,"",7`, `""`},
	{"COPS", "+COPS: 0,0,,7", ""},
	{"COPS", "+COPS: 0,0,CHINA MOB", ""},
	{"COPS", "+COPS: 0", `""`},
	{"COPS", "+COPS: 0,0,\"A\x01\xffB\",7", `"A??B"`},
	{"COPS", `+COPS: 0,0,"CHINA MOB`, ""},
	{"COPS", `+COPS: 0,0,""`, `""`},
	{"COPS", `+COPS: 0,0`, ""},
	{"COPS", `+COPS: 0,0,"A"7`, ""},
	{"COPS", `+COPS: 9`, ""},
	{"COPS", `+COPS:`, ""},
	{"CGATT", "+CGATT: 1", "true"},
	{"CGATT", "+CGATT:0", "false"},
	{"CGATT", "+CGATT: 2", ""},
	{"CGATT", "+CGATT:", ""},
	{"CGATT", "+CGATT: 1,", ""},
	{"CPIN", "+CPIN: READY", "ready"},
	{"CPIN", "+CPIN:READY", "ready"},
	{"CPIN", "+CPIN: SIM PIN", "locked"},
	{"CPIN", "+CPIN: SIM PUK", "locked"},
	{"CPIN", "+CPIN: NOT INSERTED", "none"},
	{"CPIN", "+CPIN: NOT READY", "busy"},
	{"CPIN", "+CPIN: REA", ""},
	{"CPIN", "READY", ""},
	{"CREG", "+CREG: 0,1", "stat 1 urc false registered true"},
	{"CREG", "+CREG: 0,5", "stat 5 urc false registered true"},
	{"CREG", "+CREG: 0,0", "stat 0 urc false registered false"},
	{"CREG", "+CREG: 0,2", "stat 2 urc false registered false"},
	{"CREG", "+CEREG: 0,10", "stat 10 urc false registered true"},
	{"CREG", `+CREG: 2,1,"1863","01a2c315",7`, "stat 1 urc false registered true"},
	{"CREG", `+CREG: 2,1,"0B,"0100701",7`, "stat 1 urc false registered true"},
	{"CREG", "+CREG: 1", "stat 1 urc true registered true"},
	{"CREG", `+CREG: 1,"1863","01a2c315",7`, "stat 1 urc true registered true"},
	{"CREG", `+CEREG: 5,"1863","01a2c315",7`, "stat 5 urc true registered true"},
	{"CREG", "+CGREG: 3", "stat 3 urc true registered false"},
	{"CREG", "+CREG: 1,", ""},
	{"CREG", `+CREG: 1,"`, ""},
	{"CREG", "+CREG: 0,99", ""},
	{"CREG", "+CREG: 7,1", ""},
	{"CREG", "+CREG: x", ""},
	{"CREG", "+CREG:", ""},
	{"CREG", "+CXREG: 0,1", ""},
	{"SAPBR", "+SAPBR: 1,1,010.169.179.213", "1 10.169.179.213 true"},
	{"SAPBR", `+SAPBR: 1,1,"10.159.1.145"`, "1 10.159.1.145 true"},
	{"SAPBR", `+SAPBR: 1,1,"2409:8d1e::1"`, "1 2409:8d1e::1 true"},
	{"SAPBR", `+SAPBR: 1,1,"10.1.2.3","2409::1"`, "1 10.1.2.3 true"},
	{"SAPBR", `+SAPBR: 1,1,"","2409::1"`, "1 2409::1 true"},
	{"SAPBR", `+SAPBR: 1,1,"0.0.0.0","2409::1"`, "1 2409::1 true"},
	{"SAPBR", `+SAPBR: 1,1, 010.001.002.003, 2409::1`, "1 10.1.2.3 true"},
	{"SAPBR", `+SAPBR: 1,1,"",""`, ""},
	{"SAPBR", `+SAPBR: 1,1,"10.1.2.3","x"`, ""},
	{"SAPBR", `+SAPBR: 1,1,"10.1.2.3","2409::1","2409::2"`, ""},
	{"SAPBR", `+SAPBR: 1,1,"10.1.2.3",`, ""},
	{"SAPBR", "+SAPBR: 1,1,000.000.000.000", "1 0.0.0.0 false"},
	{"SAPBR", `+SAPBR: 1,3,"0.0.0.0"`, "3 0.0.0.0 false"},
	{"SAPBR", "+SAPBR: 1,3", "3 invalid IP false"},
	{"SAPBR", `+SAPBR: 1,0,""`, "0 invalid IP false"},
	{"SAPBR", "+SAPBR: 1,1", ""},
	{"SAPBR", "+SAPBR: 1,1,10.169.179", ""},
	{"SAPBR", "+SAPBR: 1,1,10.169.179.256", ""},
	{"SAPBR", "+SAPBR: 1,1,10.169.179.+1", ""},
	{"SAPBR", `+SAPBR: 1,1,"10.159.1.145`, ""},
	{"SAPBR", "+SAPBR: 1,4,0.0.0.0", ""},
	{"SAPBR", "+SAPBR: 1,", ""},
	{"SAPBR", "+SAPBR 1: DEACT", ""},
	{"HTTPACTION", "+HTTPACTION: 1,200,149", "{200 149}"},
	{"HTTPACTION", "+HTTPACTION:0,200,1348", "{200 1348}"},
	{"HTTPACTION", "+HTTPACTION: 0,601,0", "{601 0}"},
	{"HTTPACTION", "+HTTPACTION: 1,200", ""},
	{"HTTPACTION", "+HTTPACTION: 1,200,", ""},
	{"HTTPACTION", "+HTTPACTION: 1,20", ""},
	{"HTTPACTION", "+HTTPACTION: 1,20,149", ""},
	{"HTTPACTION", "+HTTPACTION: 1,200,149,1", ""},
	{"HTTPACTION", "+HTTPACTION: 1,-200,149", ""},
	{"MQTTSTATU", "+MQTTSTATU :1", "1"},
	{"MQTTSTATU", "+MQTTSTATU: 2", "2"},
	{"MQTTSTATU", "+MQTTSTATU:0", "0"},
	{"MQTTSTATU", "+MQTTSTATU :3", ""},
	{"MQTTSTATU", "+MQTTSTATU :", ""},
	{"MQTTSTATU", "+MQTTSTATU", ""},
	{"CGSN", "862991419835241", "862991419835241"},
	{"CGSN", `+CGSN: "862991419835241"`, "862991419835241"},
	{"CGSN", "3520990017614823", "3520990017614823"}, // an IMEI that was never written
	{"CGSN", "86299141983524", ""},
	{"CGSN", "86299141983524x", ""},
	{"CGSN", "000000000000000", ""},
	{"CGSN", "", ""},
	{"CCID", "89860449111880331234", "89860449111880331234"},
	{"CCID", "+ICCID: 89860449111880331234", "89860449111880331234"},
	{"CCID", `+CCID: "8986044911188033123F"`, "8986044911188033123"},
	{"CCID", "+QCCID: 898604B0111880331234", "898604B0111880331234"},
	{"CCID", "+ICCID: NC0256459", "NC0256459"},
	{"CCID", "+ICCID: 8986a449111880331234", "8986a449111880331234"},
	{"CCID", "NC0256459", ""},
	{"CCID", "+ICCID: 8986", ""},
	{"CCID", "8986", ""},
	{"CCID", "ERROR", ""},
	{"CCID", "+CCID:", ""},
	{"CIFSR", "10.169.179.213", "yes"},
	{"CIFSR", "010.169.179.213", "yes"},
	{"CIFSR", "0.0.0.0", ""},
	{"CIFSR", "10.169.179", ""},
	{"CIFSR", "OK", ""},
	{"HTTPREAD", "+HTTPREAD: 4\r\n\r\nOK", `"\r\nOK"`},
	{"HTTPREAD", "+HTTPREAD:0\r\n", `""`},
	{"HTTPREAD", "+HTTPREAD: 5\r\nabcd", ""},
	{"HTTPREAD", "+HTTPREAD: 149", ""},
}

func TestReplies(t *testing.T) {
	for _, v := range replyVectors {
		if got := parsers[v.parser]([]byte(v.line)); got != v.want {
			t.Errorf("%s %q: %s, want %s", v.parser, v.line, got, v.want)
		}
	}
}

// P08: truncated lines, missing commas and numbers out of range were taken for
// values by others. Cutting any good line anywhere gives an error, or a value
// that the shorter line really says.
func TestP08TruncatedLinesAreNotValues(t *testing.T) {
	whole := map[string]bool{}
	for _, v := range replyVectors {
		whole[v.parser+v.line] = v.want != ""
	}
	for _, v := range replyVectors {
		if v.want == "" || v.parser == "CGMR" {
			continue
		}
		for cut := range len(v.line) {
			short := v.line[:cut]
			got := parsers[v.parser]([]byte(short))
			if got == "" || whole[v.parser+short] || got == v.want {
				continue
			}
			// What may remain: a number that lost digits at its end, or its
			// last optional field. No parser can see that.
			if c := v.line[cut]; c >= '0' && c <= '9' || c == ',' || c >= 'A' && c <= 'F' {
				continue
			}
			t.Errorf("%s %q gives %s", v.parser, short, got)
		}
	}
}

// P13: the same name has two meanings. While AT+CEREG? is out, a URC of that name
// is not its answer, whichever comes first.
func TestP13RegistrationAnswersAreToldFromURCs(t *testing.T) {
	for line, want := range map[string]bool{
		"+CEREG: 0,1": true, "+CGREG: 0,1": true, `+CEREG: 2,1,"1863","01a2c315",7`: true,
		"+CEREG: 1": false, `+CEREG: 1,"1863","01a2c315",7`: false, "+CEREG:": false, "OK": false,
	} {
		if got := isRegistrationReply([]byte(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
	for line, want := range map[string]bool{
		"+CPIN: READY": true, "+CPIN: SIM PIN": true, "+CPIN: READY 0": false, "+CPIN: SIM REMOVED 0": false, "READY": false,
	} {
		if got := isPINReply([]byte(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

// Bare answers are told from URCs that come between: P12's case at this level.
func TestP12BareAnswersAreToldFromURCs(t *testing.T) {
	urcs := []string{"+CEREG: 1", "^MODE: 17,17", "+E_UTRAN Service", "+NITZ:11/08/02,09:27:39+32,0", "CLOSED", "PUBACK", "+CPIN: READY", "+MSUB: 0"}
	for _, u := range urcs {
		for name, mine := range map[string]func([]byte) bool{"CGMR": isFirmwareReply, "CGSN": isIMEIReply, "CCID": isICCIDReply} {
			if mine([]byte(u)) {
				t.Errorf("%s takes %q", name, u)
			}
		}
	}
	for line, mine := range map[string]func([]byte) bool{
		"AirM2M_V5664_AT_S_SSL": isFirmwareReply, "EC20CEFAGR06A05M4G": isFirmwareReply,
		"862991419835241": isIMEIReply, "3520990017614823": isIMEIReply, "89860449111880331234": isICCIDReply,
	} {
		if !mine([]byte(line)) {
			t.Errorf("%q is not taken", line)
		}
	}
}

func TestHTTPErrorNamesTheModulesOwnCodes(t *testing.T) {
	for status, want := range map[int]string{601: "network error", 603: "DNS", 605: "TLS", 403: "status 403"} {
		if got := (&HTTPError{Status: status}).Error(); !strings.Contains(got, want) {
			t.Errorf("%d: %s", status, got)
		}
	}
}

// domains holds what a parser may return at all; anything else that comes out of
// fuzzing would be a value that no module can mean.
func FuzzReplies(f *testing.F) {
	for _, v := range replyVectors {
		f.Add([]byte(v.line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		before := string(line)
		for name, parse := range parsers {
			parse(line)
			if string(line) != before {
				t.Fatalf("%s changed its input", name)
			}
		}
		if dbm, err := parseSignal(line); err == nil && dbm != nil && (*dbm < -113 || *dbm > -51) {
			t.Fatalf("signal %d dBm from %q", *dbm, line)
		}
		if a, err := parseAction(line); err == nil && (a.status < 100 || a.status > 999 || a.length < 0) {
			t.Fatalf("%+v from %q", a, line)
		}
		if l, err := parseLink(line); err == nil && l != LinkOffline && l != LinkUp && l != LinkTCP {
			t.Fatalf("link %d from %q", l, line)
		}
		if r, err := parseRegistration(line); err == nil && (r.stat < 0 || r.stat > 11) {
			t.Fatalf("%+v from %q", r, line)
		}
		if id, err := parseIMEI(line); err == nil && (len(id) < 15 || strings.Trim(id, "0123456789") != "") {
			t.Fatalf("IMEI %q from %q", id, line)
		}
		if id, err := parseICCID(line); err == nil && (len(id) < 8 || len(id) < 18 && strings.Trim(id, "0123456789ABCDEFabcdef") == "") {
			t.Fatalf("ICCID %q from %q", id, line)
		}
		if name, err := parseFirmware(line); err == nil && (name == "" || !strings.Contains(before, name)) {
			t.Fatalf("firmware %q from %q", name, line)
		}
		if name, err := parseOperator(line); err == nil && strings.ContainsAny(name, "\x00\r\n\x1b") {
			t.Fatalf("operator %q from %q", name, line)
		}
		if Classify(line) == "" {
			t.Fatalf("%q has no kind", line)
		}
		modelOf(before)
		versionOf(before)
		_, _ = judge(before)
	})
}
