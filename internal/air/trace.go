package air

import (
	"bytes"
	"strconv"

	"airbridged/internal/atengine"
)

// Traffic goes into the flight recorder redacted. Nothing is copied from the
// line: what is recorded is put together from words that stand in this package
// and from numbers of a few digits, and everything else is a count of bytes. So
// neither a line that noise has changed, nor the rest of one whose beginning was
// lost, nor a block that was cut at the wrong place can carry a secret, a topic
// or a payload into it.

// shapes are the commands of which more may be shown than the name: what their
// arguments look like, in the forms that package air writes. n is a number, q a
// quoted argument, of which only the length is recorded.
var shapes = map[string][]string{
	"+CFUN":        {"n", "nn"},
	"+CGATT":       {"n"},
	"+CMEE":        {"n"},
	"+CGAUTH":      {"nnqq"},
	"+CGDCONT":     {"nqq"},
	"+CPNETAPN":    {"nqqqn"},
	"+CSTT":        {"q", "qqq"},
	"+HTTPACTION":  {"n"},
	"+HTTPDATA":    {"nn"},
	"+HTTPPARA":    {"qq"},
	"+IPR":         {"n"},
	"+MCONFIG":     {"qqq"},
	"+MCONNECT":    {"nn"},
	"+MIPSTART":    {"qn"},
	"+MPUB":        {"qnnq"},
	"+MPUBEX":      {"qnnn"},
	"+MQTTMODE":    {"n"},
	"+MQTTMSGSET":  {"n"},
	"+MSUB":        {"qn"},
	"+MUNSUB":      {"q"},
	"+SAPBR":       {"nn", "nnqq"},
	"+SSLMIPSTART": {"qn"},
}

// bare are the other commands whose name may be shown; so may those that
// [questions] lists.
var bare = map[string]bool{
	"": true, "E0": true, "E1": true, "I": true, "&F": true, "&W": true, "Z": true,
	"+CIFSR": true, "+CIICR": true, "+CIPSHUT": true, "+HTTPINIT": true, "+HTTPREAD": true, "+HTTPTERM": true,
	"+MDISCONNECT": true, "+MIPCLOSE": true, "+MQTTMSGGET": true, "+RESET": true, "+CPOWD": true,
}

// answers are the names that lines of the module begin with. What follows one is
// shown if all of it is numbers and words of answerWords; what stands in quotes is
// a length.
var answers = map[string]bool{
	"+CSQ": true, "+CESQ": true, "*CESQ": true, "+CREG": true, "+CGREG": true, "+CEREG": true, "+CGATT": true, "+CPIN": true,
	"+COPS": true, "+CFUN": true, "+SAPBR": true, "+MQTTSTATU": true, "+MQTTMODE": true, "+MQTTMSGSET": true, "+MPUBEX": true,
	"+HTTPACTION": true, "+HTTPREAD": true, "+MSUB": true, "+CGEV": true, "+PDP": true, "+CGMR": true, "+CCID": true, "+ICCID": true,
	"+CCLK": true, "+NITZ": true, "^MODE": true, "STATE": true, "ERROR": true, "+CME ERROR": true, "+CMS ERROR": true, "+IPR": true,
	"+CMEE": true, "+CGACT": true, "+CGPADDR": true, "+CGDCONT": true, "+CBC": true, "+CMTI": true, "+QIND": true, "+UPGRADEIND": true,
	"+MCONFIG": true, "+SSLMIPSTART": true, "+CSCLK": true, "+IFC": true, "+CPAS": true, "*EXINFO": true, "TCP ERROR": true, "UDP ERROR": true,
}

var answerWords = map[string]bool{
	"READY": true, "SIM": true, "PIN": true, "PUK": true, "REMOVED": true, "NOT": true, "INSERTED": true, "BUSY": true, "FAILURE": true,
	"ME": true, "NW": true, "PDN": true, "ACT": true, "DEACT": true, "DETACH": true, "IP": true, "INITIAL": true, "STATUS": true,
	"START": true, "CONFIG": true, "CLOSED": true, "CONNECT": true, "OK": true, "FAIL": true,
}

// longestName bounds the names in answers, in bytes.
const longestName = 16

// constants are the quoted arguments that are words of the dialect.
var constants = map[string]bool{"URL": true, "USER_DEFINED": true, "CONTYPE": true, "GPRS": true, "APN": true, "USER": true, "PWD": true, "IP": true}

// Bounds of what is shown: digits of a number, and arguments of a line.
const (
	shownDigits = 6
	shownFields = 8
)

// tracer redacts what the engine shows it. Commands and tokens come from two
// goroutines, and each has a buffer of its own.
type tracer struct {
	sink func(dir TraceDir, text []byte, bytes int)
	out  []byte
	in   []byte
}

// TraceDir says which way traffic went.
type TraceDir uint8

// The directions; [TraceNote] is no traffic, but what the engine made of it.
const (
	TraceSent TraceDir = iota + 1
	TraceReceived
	TraceNote
)

func (t *tracer) Command(line string) {
	t.out = appendCommand(t.out[:0], line)
	t.sink(TraceSent, t.out, len(line))
}

func (t *tracer) Data(n int) {
	t.out = append(appendSize(t.out[:0], n), " of data"...)
	t.sink(TraceSent, t.out, n)
}

func (t *tracer) Token(token atengine.Token) {
	t.in = appendToken(t.in[:0], token)
	t.sink(TraceReceived, t.in, max(len(token.Bytes), token.Size))
}

func (t *tracer) Unanswered(line, result string) {
	name, _, known := splitCommand(line)
	t.out = append(t.out[:0], "AT"...)
	if known {
		t.out = append(t.out, name...)
	}
	t.out = append(append(t.out, ": no answer, "...), result...)
	t.sink(TraceNote, t.out, 0)
}

func (t *tracer) Resync(result string) {
	t.out = append(append(t.out[:0], "resync: "...), result...)
	t.sink(TraceNote, t.out, 0)
}

// Redacted is a command as the flight recorder shows it.
func Redacted(line string) string { return string(appendCommand(nil, line)) }

// appendCommand writes a command that is sent.
func appendCommand(b []byte, line string) []byte {
	name, rest, known := splitCommand(line)
	if !known {
		return appendSize(append(b, "AT"...), max(len(line)-len("AT"), 0))
	}
	b = append(append(b, "AT"...), name...)
	if rest == "" || rest == "?" || rest == "=?" {
		return append(b, rest...)
	}
	keep := len(b)
	if rest[0] == '=' {
		for _, shape := range shapes[name] {
			if whole, ok := appendShape(append(b, '='), rest[1:], shape); ok {
				return whole
			}
		}
	}
	return appendSize(b[:keep], len(rest))
}

// splitCommand takes a command apart behind its name, which is one of those that
// may be shown.
func splitCommand(line string) (name, rest string, known bool) {
	if len(line) < len("AT") || line[:len("AT")] != "AT" {
		return "", "", false
	}
	text := line[len("AT"):]
	end := 0
	for end < len(text) && text[end] != '=' && text[end] != '?' {
		end++
	}
	name, rest = text[:end], text[end:]
	known = bare[name] || shapes[name] != nil || questions[name].forms != ""
	return name, rest, known
}

// appendShape writes arguments if they have exactly that shape.
func appendShape(b []byte, args, shape string) ([]byte, bool) {
	for i := range len(shape) {
		if i > 0 {
			if args == "" || args[0] != ',' {
				return b, false
			}
			b, args = append(b, ','), args[1:]
		}
		n := 0
		if shape[i] == 'n' {
			if n = shortNumber(args); n == 0 {
				return b, false
			}
			b = append(b, args[:n]...)
		} else {
			if n = quotedLength(args); n == 0 {
				return b, false
			}
			b = appendQuoted(b, args[1:n-1])
		}
		args = args[n:]
	}
	return b, args == ""
}

// appendToken writes what was read.
func appendToken(b []byte, t atengine.Token) []byte {
	switch t.Kind {
	case atengine.Prompt:
		return append(b, '>')
	case atengine.Block:
		return appendBlock(b, t)
	case atengine.Line:
		if t.Cut {
			b = append(b, "doubtful "...)
		}
		return appendLine(b, t.Bytes)
	}
	return appendSize(b, max(len(t.Bytes), t.Size))
}

// appendBlock writes the lengths of a block.
func appendBlock(b []byte, t atengine.Token) []byte {
	header := 0
	switch t.Framer {
	case msubFramer:
		if h, v := readHeader(t.Bytes); v == atengine.Match {
			b = appendSize(append(b, "+MSUB: "...), len(h.topic))
			b = append(strconv.AppendInt(append(b, ','), int64(h.count), 10), ',')
			header = h.length
		}
	case httpReadFramer:
		if length, count, v := readHTTPHeader(t.Bytes); v == atengine.Match {
			b = append(strconv.AppendInt(append(b, "+HTTPREAD: "...), int64(count), 10), ' ')
			header = length
		}
	}
	return appendSize(b, max(len(t.Bytes)-header, 0))
}

// appendLine writes a line of the module: one that is a word of the dialect as it
// is, a known name with its arguments, an echo by its name, and of anything else
// the length.
func appendLine(b []byte, line []byte) []byte {
	if _, ok := wholeLines[string(line)]; ok {
		return append(b, line...)
	}
	if IsReboot(line) {
		return appendSize(append(b, "^boot.rom "...), len(line))
	}
	if bytes.HasPrefix(line, []byte("AT")) {
		name, rest, known := splitCommand(string(line))
		if !known {
			return appendSize(append(b, "AT"...), len(line)-len("AT"))
		}
		b = append(append(b, "AT"...), name...)
		if rest != "" {
			b = appendSize(b, len(rest))
		}
		return b
	}
	name := answerName(line)
	if name == 0 {
		return appendSize(b, len(line))
	}
	b = append(b, line[:name]...)
	keep, rest := len(b), line[name:]
	if whole, ok := appendFields(b, rest); ok {
		return whole
	}
	return appendSize(b[:keep], len(rest))
}

// answerName returns how long the name is that a line begins with; 0: it is none
// that may be shown.
func answerName(line []byte) int {
	for i, c := range line[:min(len(line), longestName+1)] {
		if (c == ':' || c == ' ') && answers[string(line[:i])] {
			return i
		}
	}
	if answers[string(line)] {
		return len(line)
	}
	return 0
}

// appendFields writes what follows the name, if it is nothing but numbers, known
// words, and quoted things whose content is left out.
func appendFields(b, rest []byte) ([]byte, bool) {
	for fields := 0; len(rest) > 0; {
		c := rest[0]
		if c == ',' || c == ' ' || c == ':' || c == '-' {
			b, rest = append(b, c), rest[1:]
			continue
		}
		if fields++; fields > shownFields {
			return b, false
		}
		if n := quotedLength(rest); n > 0 {
			b, rest = appendSize(b, n-2), rest[n:]
			continue
		}
		n := bytes.IndexAny(rest, ", :-")
		if n < 0 {
			n = len(rest)
		}
		word := rest[:n]
		if shortNumber(word) != n && !answerWords[string(word)] {
			return b, false
		}
		b, rest = append(b, word...), rest[n:]
	}
	return b, true
}

// appendSize writes a length in place of what is not shown.
func appendSize(b []byte, n int) []byte {
	return append(strconv.AppendInt(append(b, '['), int64(n), 10), " bytes]"...)
}

// appendQuoted writes a quoted argument: a word of the dialect as it is, of
// anything else the length.
func appendQuoted(b []byte, text string) []byte {
	if constants[text] {
		return append(append(append(b, '"'), text...), '"')
	}
	return appendSize(b, len(text))
}

// shortNumber returns how many digits stand at the beginning, or 0 if they are
// too many to be shown.
func shortNumber[T string | []byte](s T) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if n > shownDigits {
		return 0
	}
	return n
}

// quotedLength returns how long a quoted argument at the beginning is, quotes
// included; 0: there is none.
func quotedLength[T string | []byte](s T) int {
	if len(s) == 0 || s[0] != '"' {
		return 0
	}
	for i := 1; i < len(s); i++ {
		if s[i] == '"' {
			return i + 1
		}
	}
	return 0
}
