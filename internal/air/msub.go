package air

import (
	"bytes"
	"encoding/hex"

	"airbridged/internal/atengine"
)

// A downlink message comes as one block:
//
//	+MSUB: "/b1KCi45LcCP/862991419835241/get",12 byte,qos0 payload
//
// The payload is raw: it may hold quotes, commas, line ends, "OK" or another
// +MSUB, so it is cut by its count. The header has been seen with the topic
// quoted and bare, with "12 byte,", "12byte," and "12,", and with or without the
// blank behind the colon (vendor quick guide, vendor logs, AT manual 1.6.3); one
// driver takes blanks around the first comma and before the last. Its
// first reading from the left is taken; a bare topic may hold commas as long as
// no count follows them.
//
// While MQTTMODE is 1 the payload comes as 2n hexadecimal digits for a count of n
// (field log, Air780EG); the manual's sample has it plain, and one driver expects
// quotes around the digits. All three are told apart by their bytes.
const (
	msubFramer = "+MSUB"
	msubName   = "+MSUB:"
	// msubEnds: behind the payload comes the line end of the message, and then that
	// which stands before every line of a module (AT manual 1.6.3, section 1).
	msubEnds = 2

	// maxHeader is the longest header that is looked for, in bytes behind the
	// colon; the longest topic has 256.
	maxHeader = 480
	// hexWindow is how much of a payload is looked at to tell hexadecimal digits
	// from a plain payload, in bytes. The scanner shows 1 KiB of a block.
	hexWindow = 512
	// maxDownlink is the largest count that is believed, in bytes: twice what the
	// vendor says a module can receive (4100, MQTT application note).
	maxDownlink = 8192
)

// msubHeader is what stands before the payload.
type msubHeader struct {
	topic  []byte
	count  int // bytes of payload, decoded
	length int // bytes of header, from the "+" to the last comma
}

// readHeader looks for a header at the start of buf. The verdict of a longer buf
// never contradicts that of a shorter one, unless it was NeedMore.
func readHeader(buf []byte) (msubHeader, atengine.Verdict) {
	if len(buf) < len(msubName) {
		return msubHeader{}, needMoreIf(bytes.HasPrefix([]byte(msubName), buf))
	}
	rest, ok := bytes.CutPrefix(buf, []byte(msubName))
	if !ok {
		return msubHeader{}, atengine.NoMatch
	}
	rest = bytes.TrimLeft(rest, " ")
	start := len(buf) - len(rest)
	text, open := headerText(rest)
	quoted := len(text) > 0 && text[0] == '"'
	for i, c := range text {
		topic := bytes.TrimRight(text[:i], " ")
		if c != ',' || quoted && (len(topic) < 2 || topic[len(topic)-1] != '"') {
			continue
		}
		count, length, v := readCount(text[i+1:], open)
		if v == atengine.NoMatch {
			continue
		}
		h := msubHeader{topic: text[:i], count: count, length: start + i + 1 + length}
		if quoted {
			h.topic = topic[1 : len(topic)-1]
		}
		if v == atengine.Match && (len(h.topic) == 0 || count > maxDownlink) {
			return msubHeader{}, atengine.NoMatch
		}
		return h, v
	}
	return msubHeader{}, needMoreIf(open)
}

// headerText returns the part of b that may be header: a control byte ends it,
// and so does its length. open says that more of it may follow.
func headerText(b []byte) (text []byte, open bool) {
	for i, c := range b[:min(len(b), maxHeader)] {
		if c < 0x20 || c == 0x7f {
			return b[:i], false
		}
	}
	if len(b) >= maxHeader {
		return b[:maxHeader], false
	}
	return b, true
}

// readCount reads "12 byte,", "12byte," or "12,", with a blank or more before the
// number or not. A count too long to be one comes back as more than maxDownlink.
func readCount(b []byte, open bool) (count, length int, v atengine.Verdict) {
	number := bytes.TrimLeft(b, " ")
	count, length, v = readNumber(number, open)
	if v == atengine.Match {
		length += len(b) - len(number)
	}
	return count, length, v
}

func readNumber(b []byte, open bool) (count, length int, v atengine.Verdict) {
	digits := 0
	for digits < len(b) && b[digits] >= '0' && b[digits] <= '9' {
		count = min(10*count+int(b[digits]-'0'), maxDownlink+1)
		digits++
	}
	if digits == 0 {
		return 0, 0, needMoreIf(open && len(b) == 0)
	}
	for _, end := range []string{",", " byte,", "byte,", " byte ,"} {
		tail := b[digits:]
		if bytes.HasPrefix(tail, []byte(end)) {
			return count, digits + len(end), atengine.Match
		}
		if open && bytes.HasPrefix([]byte(end), tail) {
			return 0, 0, atengine.NeedMore
		}
	}
	return 0, 0, atengine.NoMatch
}

func needMoreIf(b bool) atengine.Verdict {
	if b {
		return atengine.NeedMore
	}
	return atengine.NoMatch
}

// frameMSUB cuts a downlink message. hexMode says whether the session runs with
// MQTTMODE=1.
func frameMSUB(buf []byte, hexMode bool) (int, atengine.Verdict) {
	h, v := readHeader(buf)
	if v != atengine.Match {
		return 0, v
	}
	if !hexMode {
		return h.length + h.count, atengine.Match
	}
	n, v := hexSize(buf[h.length:], h.count)
	return h.length + n, v
}

// hexSize returns how long the payload of n bytes is on the wire while MQTTMODE
// is 1. What tells digits from a plain payload is that they go on at the place
// where a plain payload ends its line; hexWindow digits in a row are believed.
func hexSize(body []byte, n int) (int, atengine.Verdict) {
	quoted := 0
	if len(body) > 0 && body[0] == '"' {
		quoted = 1
	}
	if n == 0 {
		if quoted == 1 && len(body) == 1 {
			return 0, atengine.NeedMore
		}
		if bytes.HasPrefix(body, []byte(`""`)) {
			return 2, atengine.Match
		}
		if len(body) == 0 {
			return 0, atengine.NeedMore
		}
		return 0, atengine.Match
	}
	for i := quoted; i < min(n, hexWindow); i++ {
		if i >= len(body) {
			return 0, atengine.NeedMore
		}
		if !isHex(body[i]) {
			return n, atengine.Match
		}
	}
	switch {
	case n >= hexWindow:
		return 2*n + 2*quoted, atengine.Match
	case len(body) <= n:
		return 0, atengine.NeedMore
	case isHex(body[n]):
		return 2*n + 2*quoted, atengine.Match
	case body[n] == '\r' || body[n] == '\n':
		return n, atengine.Match
	}
	return 0, atengine.NoMatch
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f'
}

// parseMSUB takes a block that frameMSUB has cut apart. The payload is a copy of
// its own. The length tells the form: n bytes are plain, 2n are digits, 2n+2 are
// digits in quotes.
func parseMSUB(block []byte) (topic string, payload []byte, err error) {
	h, v := readHeader(block)
	if v != atengine.Match {
		return "", nil, malformed("+MSUB")
	}
	body := block[h.length:]
	if len(body) == 2*h.count+2 && body[0] == '"' && body[len(body)-1] == '"' {
		body = body[1 : len(body)-1]
	}
	switch len(body) {
	case h.count:
		payload = append(make([]byte, 0, len(body)), body...)
	case 2 * h.count:
		payload = make([]byte, h.count)
		if _, err := hex.Decode(payload, body); err != nil {
			return "", nil, malformed("+MSUB: bad hexadecimal digits")
		}
	default:
		return "", nil, malformed("+MSUB: its count is not its length")
	}
	return string(h.topic), payload, nil
}
