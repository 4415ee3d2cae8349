package air

import (
	"errors"
	"strings"
	"testing"
	"time"

	"airbridged/internal/atengine"
)

// What a person may give the module: questions as they are, what could harm the
// session only by force, what takes the line over never.
func TestParseRaw(t *testing.T) {
	const asks, forced, refused, nonsense = "asks", "forced", "refused", "nonsense"
	for _, c := range []struct{ command, want string }{
		{"AT", asks},
		{"ATI", asks},
		{"AT+CSQ", asks},
		{"at+csq", asks},
		{"  AT+CSQ  ", asks},
		{"AT+CSQ=?", asks},
		{"AT+CPIN?", asks},
		{"AT+SAPBR=2,1", asks},
		{"AT+MPUBEX=?", asks},
		{"AT*EXINFO?", asks},
		{"AT+CFUN?", asks},

		{"AT+CFUN=1,1", forced},
		{"AT+CFUN", forced},
		{"AT+RESET", forced},
		{"AT&F", forced},
		{"ATZ", forced},
		{"ATE1", forced},
		{"AT+COPS=?", forced}, // a search of minutes
		{"AT+HTTPPARA?", forced},
		{"AT+HTTPTERM", forced},
		{"AT+HTTPREAD", forced},
		{"AT+MCONFIG?", forced},
		{`AT+MPUB="/t",1,0,"x"`, forced},
		{`AT+MPUB="/t",1,0,"a;b"`, forced},
		{"AT+SAPBR=0,1", forced},
		{"AT+WISN?", forced},
		{"AT+FROB=?", forced},

		{"AT+CIPSEND", refused},
		{"AT+CIPSEND=5", refused},
		{"AT+HTTPDATA=5,1000", refused},
		{`AT+MPUBEX="/t",1,0,5`, refused},
		{"AT+CMGS=5", refused},
		{"AT+IPR=9600", refused},
		{"AT+CMUX=0", refused},
		{"ATD123", refused},
		{"ATDT123", refused},
		{"ATA", refused},
		{"ATO", refused},

		{"", nonsense},
		{"CSQ", nonsense},
		{"A/", nonsense},
		{"+++", nonsense},
		{"ATD*99#", nonsense},
		{"AT+CSQ\r", nonsense},
		{"AT+CSQ\r\nAT+RESET", nonsense},
		{"AT+CSQ\x1a", nonsense},
		{"AT+CSQ\x00", nonsense},
		{"AT+CSQ;+CFUN=1,1", nonsense},
		{"AT+CSQ;E1", nonsense},
		{`AT+CSTT="x`, nonsense},
		{`AT+CSTT="ä"`, nonsense},
		{"AT +CSQ", nonsense},
		{"AT+CSQ?x", nonsense},
		{"AT" + strings.Repeat("X", 1100), nonsense},
		{`AT"secret"`, nonsense},
	} {
		got := nonsense
		_, plain := ParseRaw(c.command, false)
		raw, byForce := ParseRaw(c.command, true)
		var no *RawError
		switch {
		case plain == nil && byForce == nil && !raw.Alters():
			got = asks
		case plain != nil && byForce == nil && raw.Alters():
			got = forced
			if !errors.As(plain, &no) || !no.Forceable || no.Name == "" {
				t.Errorf("%q: %v does not say that it can be forced", c.command, plain)
			}
		case errors.As(byForce, &no) && no.Name != "":
			got = refused
			if no.Forceable {
				t.Errorf("%q: %v", c.command, byForce)
			}
		}
		if got != c.want {
			t.Errorf("%q is %s, want %s (%v; %v)", c.command, got, c.want, plain, byForce)
		}
	}
}

// No text whatever becomes more than one command, or a command with a byte that
// could end it.
func FuzzParseRaw(f *testing.F) {
	for _, s := range []string{"AT+CSQ", "AT+CSQ\rAT+RESET", `AT+MPUB="/t",1,0,"a;b"`, "at&f", "ATD*99#", "AT+CSQ;+CFUN=0"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, force bool) {
		raw, err := ParseRaw(text, force)
		if err != nil {
			if raw != (Raw{}) || len(err.Error()) > 200 {
				t.Fatalf("%+v, %v", raw, err)
			}
			return
		}
		quotes := 0
		for _, part := range strings.Split(raw.line, `"`) {
			if quotes++; quotes%2 == 1 && strings.Contains(part, ";") {
				t.Fatalf("%q is more than one command", raw.line)
			}
		}
		if strings.ContainsFunc(raw.line, func(r rune) bool { return r < ' ' || r > '~' }) || !strings.HasPrefix(raw.line, "AT") || raw.Alters() && !force {
			t.Fatalf("%q from %q", raw.line, text)
		}
	})
}

// The answer is taken, and nothing that only came meanwhile: a message, a lost
// bearer, a PUBACK go their usual way.
func TestRawTakesItsAnswerAndNothingElse(t *testing.T) {
	for name, c := range map[string]struct {
		command string
		answers []string
		lines   string
		final   string
		ok      bool
	}{
		"plain":      {"AT+CSQ", []string{"+CSQ: 22,99", "OK"}, "+CSQ: 22,99", "OK", true},
		"bare lines": {"AT+CGSN", []string{"862991419835241", "OK"}, "862991419835241", "OK", true},
		"several":    {"AT+CGDCONT?", []string{`+CGDCONT: 1,"IP","cmnet"`, `+CGDCONT: 5,"IP",""`, "OK"}, `+CGDCONT: 1,"IP","cmnet"|+CGDCONT: 5,"IP",""`, "OK", true},
		"refused":    {"AT+CCID", []string{"+CME ERROR: 10"}, "", "+CME ERROR: 10", false},
		"in words":   {"AT+CCID", []string{"+CME ERROR: SIM not inserted"}, "", "+CME ERROR: SIM not inserted", false},
		"URCs":       {"AT+CSQ", []string{"+CGEV: ME PDN DEACT 1", "PUBACK", "+CSQ: 22,99", "CLOSED", "OK"}, "+CSQ: 22,99", "OK", true},
		"a message":  {"AT+CSQ", []string{"raw:\r\n+MSUB: \"/t\",2 byte,hi\r\n", "+CSQ: 22,99", "OK"}, "+CSQ: 22,99", "OK", true},
		"own name":   {"AT+CPIN?", []string{"+CPIN: SIM REMOVED 0", "OK"}, "+CPIN: SIM REMOVED 0", "OK", true},
		"CEREG":      {"AT+CEREG?", []string{"+CGREG: 0,1", "OK"}, "+CGREG: 0,1", "OK", true},
		"no CEREG":   {"AT+CSQ", []string{`+CEREG: 1,"1863","01a2c315",7`, "+CSQ: 22,99", "OK"}, "+CSQ: 22,99", "OK", true},
	} {
		play(t, Options{}, script(on(c.command, c.answers...)), func(b *bench) {
			raw, err := ParseRaw(c.command, false)
			b.ok(err)
			got, err := b.Raw(b.ctx, raw)
			b.ok(err)
			if strings.Join(got.Lines, "|") != c.lines || got.Final != c.final || got.OK != c.ok {
				t.Errorf("%s: %+v", name, got)
			}
			switch events, _ := b.Since(0); {
			case name == "URCs" && len(events) != 3:
				t.Errorf("the events are %v", events)
			case name == "a message" && len(b.received()) != 1:
				t.Errorf("the message was lost: %v", b.received())
			}
		})
	}
}

// A forced command that opened a data phase after all: nothing is written before
// that is over.
func TestRawThatOpensADataPhase(t *testing.T) {
	play(t, Options{}, script(on("AT+FROB=5", "raw:\r\n> "), on("AT", "OK")), func(b *bench) {
		raw, err := ParseRaw("AT+FROB=5", true)
		b.ok(err)
		if _, err := b.Raw(b.ctx, raw); !errors.Is(err, atengine.ErrTimeout) {
			t.Errorf("%v", err)
		}
		begun := time.Now()
		b.ok(b.Resync(b.ctx))
		if took := time.Since(begun); took < atengine.DefaultDataPhase {
			t.Errorf("AT was written after %v, within the data phase", took)
		}
	})
}

// An answer that does not end is bounded.
func TestRawIsBounded(t *testing.T) {
	var answers []string
	for range 2000 {
		answers = append(answers, strings.Repeat("x", 100))
	}
	play(t, Options{}, script(on("AT+VER", append(answers, "OK")...)), func(b *bench) {
		raw, err := ParseRaw("AT+VER", false)
		b.ok(err)
		got, err := b.Raw(b.ctx, raw)
		if err != nil || len(got.Lines) != rawLines || got.Final != "OK" {
			t.Errorf("%d lines, %q, %v", len(got.Lines), got.Final, err)
		}
	})
}
