package simulation

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What somebody writes who can send to a device, or through its gateway, and knows
// what a module says. Every word of it is harmless in a payload; on a line that loses
// bytes it stands where the module's own words do.

// forgedTopic is where nobody sends to: what a program gets on it was cut out of the
// payload of another message.
const forgedTopic = "/user/forged"

// vocabulary are the words of a module that mean something, PUBACK above all.
var vocabulary = []string{
	"PUBACK", "PUBACK", "PUBACK", "PUBACK", "SUBACK", "UNSUBACK", "OK", "ERROR", "+CME ERROR: 50", "+CME ERROR: 767", "CONNECT OK", "CONNACK OK", "CONNECT FAIL",
	"CLOSED", "RDY", "^boot.rom'v'!\\nRDY", "NORMAL POWER DOWN", "+PDP: DEACT", "+CGEV: NW PDN DEACT 1", "+SAPBR 1: DEACT", "+CPIN: SIM REMOVED", "+NO Service",
	"+MQTTSTATU :1", "+MQTTSTATU :0", "+CSQ: 24,0", "+CEREG: 0,1", "+HTTPACTION: 1,200,40", "+HTTPREAD: 12", "AT+MQTTSTATU", "DOWNLOAD", ">", "> ", "+MSUB: 0",
	forgedMessage, forgedMessage,
}

var forgedMessage = fmt.Sprintf("+MSUB: %q,6 byte,forged", own+forgedTopic)

// words draws a text of the vocabulary. Between its words stands mostly what ends a
// line, and sometimes a blank line, nothing, or a byte that is none of a module's.
func words(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(5) {
		b.WriteString([]string{"\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n\r\n", "", "\x00", "x"}[r.IntN(9)])
		b.WriteString(vocabulary[r.IntN(len(vocabulary))])
	}
	if r.IntN(2) == 0 {
		b.WriteString("\r\n")
	}
	return b.String()
}

// header is what stands before the payload of a message, in any of its forms.
var header = regexp.MustCompile(`^\+MSUB: ?(?:"[^"]*"|[^",]*),(\d+)(?: ?byte)?,`)

// unasked are the words that a module prints while nobody has asked it anything, and
// that end no session.
var unasked = []string{"PUBACK", "+CSQ: 24,0", "+CEREG: 0,1", "+SAPBR 1: DEACT", "+CPIN: SIM REMOVED", "+NO Service", "+MSUB: 0"}

// seemsGenuine says whether nobody can tell that the PUBACK or the message that a
// message down spells is none, by all that the line has brought of it: it stands on a
// line of its own, and before it nothing but words that need nobody to ask for them, or
// a whole message that is only shorter than it was. That is what docs/at-least-once.md
// says cannot be told.
func seemsGenuine(line []byte) bool {
	line = bytes.TrimLeft(line, "\r\n\x00")
	if h := header.FindSubmatch(line); h != nil {
		if bytes.Contains(h[0], []byte(forgedTopic)) {
			return true // the message in the message, and nothing is left of the one around it
		}
		count, _ := strconv.Atoi(string(h[1]))
		rest := line[len(h[0]):]
		if count >= len(rest) {
			return false
		}
		rest = rest[count:]
		ends := len(rest) - len(bytes.TrimLeft(rest, "\r\n\x00"))
		if max(bytes.Count(rest[:ends], []byte("\n")), bytes.Count(rest[:ends], []byte("\r"))) < 2 {
			return false
		}
		line = rest[ends:]
	}
	for _, text := range strings.FieldsFunc(string(line), func(c rune) bool { return c == '\r' || c == '\n' }) {
		text = strings.TrimLeft(text, "\x00")
		switch {
		case text == "PUBACK" || strings.HasPrefix(text, "+MSUB: ") && text != "+MSUB: 0":
			return true
		case strings.TrimSpace(text) != "" && !slices.Contains(unasked, text):
			return false
		}
	}
	return false
}
