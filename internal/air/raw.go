package air

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"airbridged/internal/atengine"
)

// A person may give the module a command while a session runs on it. Package air
// knows which ones only ask, and so leave the session as it is; all others are
// refused unless they are forced, and those that take the line over are refused
// in any case.

// questions are the commands that change nothing, in the forms that do not: x as
// it is, r with a question mark, t with an equals sign and a question mark. What
// is not here may well be harmless; nobody has said so. COPS=? is missing because
// it searches for networks for minutes, HTTPPARA? because it restarts EC618 before
// V1118 (vendor change log), MCONFIG? and WISN? because they may show secrets.
var questions = map[string]question{
	"": {"x", false}, "I": {"x", false},
	"+CBC": {"x", false}, "+CCID": {"x", false}, "+CCLK": {"r", false}, "+CEREG": {"rt", false}, "+CESQ": {"xt", false},
	"+CFUN": {"rt", false}, "+CGACT": {"r", true}, "+CGATT": {"rt", true}, "+CGDCONT": {"r", false}, "+CGMI": {"xt", false},
	"+CGMM": {"xt", false}, "+CGMR": {"xt", false}, "+CGPADDR": {"x", false}, "+CGREG": {"rt", false}, "+CGSN": {"xt", false},
	"+CIMI": {"x", false}, "+CMEE": {"rt", false}, "+COPS": {"r", true}, "+CPAS": {"x", false}, "+CPIN": {"r", true},
	"+CREG": {"rt", false}, "+CSCLK": {"r", false}, "+CSQ": {"xt", false}, "+GSN": {"xt", false}, "+ICCID": {"x", false},
	"+IFC": {"rt", false}, "+IPR": {"rt", false}, "+MCONFIG": {"t", false}, "+MIPSTART": {"t", false}, "+MPUB": {"t", false},
	"+MPUBEX": {"t", false}, "+MQTTMODE": {"rt", false}, "+MQTTMSGSET": {"rt", false}, "+MQTTSTATU": {"x", false},
	"+MSUB": {"t", false}, "+SAPBR": {"t", false}, "+SSLMIPSTART": {"t", false}, "+VER": {"x", false}, "*EXINFO": {"r", false},
}

// question says in which forms a command only asks, and whether the network may
// have to be asked for the answer.
type question struct {
	forms string
	slow  bool
}

// bearerQuestion is the one question that has arguments.
const bearerQuestion = "AT+SAPBR=2,1"

// never are the commands that take the line over: behind a prompt, or for a call,
// the next command of the session would be data; and those that change how bytes
// travel on it.
var never = map[string]string{
	"+CGDATA": takesLine, "+CIPMODE": takesLine, "+CIPSEND": takesLine, "+CMGC": takesLine, "+CMGS": takesLine, "+CMGW": takesLine,
	"+CMUX": takesLine, "+FSWRITE": takesLine, "+FTPPUT": takesLine, "+HTTPDATA": takesLine, "+MPUBEX": takesLine,
	"A": takesLine, "D": takesLine, "O": takesLine, "+CIPSENDEX": takesLine, "+SSLCERT": takesLine,
	"+ICF": changesLine, "+IFC": changesLine, "+IPR": changesLine,
}

const (
	takesLine   = "makes the module take what follows for data"
	changesLine = "changes how bytes travel on the line, which the daemon settles itself (modem.baud, modem.work_baud)"
)

// harms say what the usual commands do to a session.
var harms = []struct{ prefix, harm string }{
	{"+MPUB", "publishes past the outbox, and its PUBACK could be taken for another message's: publish with airbridgectl pub"},
	{"+HTTP", "uses the module's only HTTP session, in which the answer to a registration may wait"},
	{"+MQTT", "changes how messages come and go"},
	{"+M", "changes the MQTT session that the daemon holds"},
	{"+SSL", "changes the MQTT session that the daemon holds"},
	{"+SAPBR", "changes the data bearer under the session"},
	{"+CIP", "changes the data bearer under the session"},
	{"+CGA", "changes the data bearer under the session"},
	{"+CFUN", "switches the radio or restarts the module"},
	{"+RESET", "restarts the module"},
	{"+CPOWD", "switches the module off, and only its power key brings it back"},
	{"+COPS", "leaves the network, or searches for others for minutes"},
	{"E", "changes the echo, by which the daemon notices a restart"},
	{"&F", "changes the module's settings"},
	{"Z", "changes the module's settings"},
}

// rawLimit bounds a command that a person gives, in bytes.
const rawLimit = 1024

// Raw is a command that a person gave and [ParseRaw] let pass.
type Raw struct {
	line  string
	name  string
	slow  bool
	alter bool // it may have changed something
}

// Alters says whether the module may be in another state afterwards.
func (r Raw) Alters() bool { return r.alter }

// RawError says why a command is not passed on.
type RawError struct {
	Name      string // of the command, as in AT+CFUN; empty when it is not even one
	Reason    string
	Forceable bool // it would be, if it were forced
}

func (e *RawError) Error() string {
	if e.Name == "" {
		return e.Reason
	}
	return e.Name + " " + e.Reason
}

// ParseRaw checks a command that a person gave. force lets pass what would break
// the session, but nothing that takes the line over. The error is a *[RawError].
func ParseRaw(text string, force bool) (Raw, error) {
	name, rest, err := splitRaw(strings.Trim(text, " "))
	if err != nil {
		return Raw{}, err
	}
	r := Raw{line: "AT" + name + rest, name: name}
	forms := map[string]string{"": "x", "?": "r", "=?": "t"}
	form, plain := forms[rest]
	q, known := questions[name]
	switch {
	case plain && known && strings.Contains(q.forms, form), r.line == bearerQuestion:
		r.slow = q.slow
		return r, nil
	case never[name] != "":
		return Raw{}, &RawError{Name: "AT" + name, Reason: never[name]}
	case name != "" && strings.Contains("ADO", name[:1]):
		return Raw{}, &RawError{Name: "AT" + name[:1], Reason: takesLine}
	case force:
		r.alter = true
		return r, nil
	}
	return Raw{}, &RawError{Name: "AT" + name, Reason: harmOf(name), Forceable: true}
}

func harmOf(name string) string {
	for _, h := range harms {
		if strings.HasPrefix(name, h.prefix) {
			return h.harm
		}
	}
	return "is not known to change nothing"
}

// splitRaw takes a command apart: the name behind AT in capitals, and what comes
// behind it. Several commands on one line are refused, for only the first one's
// name would be looked at.
func splitRaw(text string) (name, rest string, err error) {
	no := func(reason string) (string, string, error) { return "", "", &RawError{Reason: reason} }
	if len(text) > rawLimit {
		return no(fmt.Sprintf("the command has %d bytes, and %d are taken", len(text), rawLimit))
	}
	if len(text) < len("AT") || !strings.EqualFold(text[:len("AT")], "AT") {
		return no("a command begins with AT")
	}
	quoted := false
	for i := range len(text) {
		switch c := text[i]; {
		case c < 0x20 || c >= 0x7f:
			return no(fmt.Sprintf("byte 0x%02X at offset %d is no printable ASCII", c, i))
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			return no("only one command at a time is taken: there is a semicolon outside quotes")
		}
	}
	if quoted {
		return no("a quote is left open")
	}
	name = text[len("AT"):]
	if i := strings.IndexAny(name, "=?"); i >= 0 {
		name, rest = name[:i], name[i:]
	}
	if !isName(name) || strings.HasPrefix(rest, "?") && rest != "?" {
		return no("this is no AT command: a name of letters and digits, then nothing, ?, =? or = and arguments")
	}
	return strings.ToUpper(name), rest, nil
}

// isName says whether a text could be a command's name: perhaps a sign in front,
// then letters and digits.
func isName(s string) bool {
	if s != "" && strings.IndexByte("+*^&$%#", s[0]) >= 0 {
		s = s[1:]
	}
	for i := range len(s) {
		if c := s[i] | 0x20; (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return len(s) <= 16
}

// RawReply is what the module answered.
type RawReply struct {
	Lines []string
	Final string // OK, ERROR or the like
	OK    bool   // Final is a good one
}

// Bounds of what is taken for an answer; what goes on is dropped as unknown lines.
const (
	rawLines = 500
	rawBytes = 64 << 10
)

// Raw gives the module a command that a person gave. An answer ERROR is an
// answer; an error is that none came, as from [atengine.Engine.Do]. A command that
// may have opened a data phase is taken for one that did when it is not answered.
func (m *Modem) Raw(ctx context.Context, r Raw) (RawReply, error) {
	reply := RawReply{Lines: []string{}}
	size := 0
	c := atengine.Command{Line: r.line, Timeout: m.o.Timeouts.Command, Final: isShutOK}
	if r.name == "+CIFSR" {
		c.Final = isAddress
	}
	switch {
	case r.alter:
		c.Timeout, c.DataPhase = max(radioTimeout, m.o.Timeouts.Command), atengine.DefaultDataPhase
	case r.slow:
		c.Timeout = m.o.Timeouts.Bearer
	}
	c.Info = func(line []byte) bool {
		if len(reply.Lines) >= rawLines || size+len(line) > rawBytes || !r.answers(line) {
			return false
		}
		size += len(line)
		reply.Lines = append(reply.Lines, printable(line))
		return true
	}
	m.asked.Store(true)
	defer m.asked.Store(false)
	done, err := m.eng.Do(ctx, c)
	var refused *atengine.Error
	switch {
	case err == nil:
		reply.Final, reply.OK = done.Final, true
	case errors.As(err, &refused) && errors.Is(err, atengine.ErrRefused):
		reply.Final = refused.Final
	default:
		return RawReply{}, err
	}
	return reply, nil
}

// answers says whether a line belongs to the answer: it has the command's own
// name, or it is none of the lines that mean something of their own accord.
func (r Raw) answers(line []byte) bool {
	if bytes.HasPrefix(line, []byte("+MSUB")) {
		return false // a message from the cloud
	}
	if _, own := answer(line, r.name); own && r.name != "" {
		return true
	}
	switch kind := Classify(line); {
	case kind == Registration:
		return strings.HasSuffix(r.name, "REG") && isRegistrationReply(line)
	case kind == Echo, kind == StrayReply, kind == StrayPrompt, kind == NetworkEvent, kind == NetworkTime, kind == NetworkMode:
		return false
	default:
		return !kind.kept()
	}
}
