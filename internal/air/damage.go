package air

import (
	"bytes"
	"slices"

	"airbridged/internal/atengine"
)

// A +MSUB whose header was damaged on the line forms no block, and its payload comes
// as lines, with whatever the cloud has put into them. What gives it away is the line
// that the header has become, or what else of the payload is no line of a module. The
// engine believes nothing then that comes in the same burst.

// damage says whether a token that is no answer can be a piece of such a message: it
// is what a header becomes, and, as long as messages can come, of no form that a module
// prints, or it completes what nobody waits for. At the start a module prints noise,
// and while a person asks it something, anything.
func (m *Modem) damage(t atengine.Token, kind EventKind) bool {
	switch {
	case kind == DownlinkBad, kind == Unknown && looksLikeHeader(t.Bytes):
		return true
	case !m.live.Load() || m.asked.Load():
		return false
	case t.Kind == atengine.Line && controlled(t.Bytes):
		return true
	case kind == Unknown:
		return !looksLikeURC(t.Bytes) || IsReboot(t.Bytes)
	case kind == Overlong, kind == StrayBlock, kind == StrayPrompt, kind == Echo: // the engine knows the echo of what it has sent
		return true
	}
	return slices.Contains(completions, kind) && !m.due(kind)
}

// controlled says whether control characters stand in a line, behind those with which
// noise may begin it: no module prints them in a URC, whatever the line begins like.
func controlled(line []byte) bool {
	return bytes.ContainsFunc(bytes.TrimLeft(line, "\x00"), func(c rune) bool { return c < ' ' })
}

// restarts says whether a line means that the module restarted. As long as messages can
// come, one that stands behind something else in its line may be a payload; or the
// module restarted in the middle of a line, which shows when it is asked.
func (m *Modem) restarts(line []byte) bool {
	if !IsReboot(line) {
		return false
	}
	before, _, glued := bytes.Cut(line, bootBanner)
	if !glued {
		before = bytes.TrimSuffix(line, gluedReady)
	}
	printable := bytes.ContainsFunc(before, func(c rune) bool { return c > ' ' && c <= '~' })
	return !m.live.Load() || !printable || string(line) == string(before)
}

// completions are the lines that complete a command, and come never otherwise. PUBACK
// is not among them: some modules print it twice.
var completions = []EventKind{ConnectOK, ConnectFail, AlreadyConnected, ConnAckOK, SubAck, UnsubAck, PubRec, PubComp, HTTPAction}

// expect names what completes the command that is about to be sent; none: nothing.
func (m *Modem) expect(kinds ...EventKind) { m.expected.Store(&kinds) }

func (m *Modem) due(kind EventKind) bool {
	expected := m.expected.Load()
	return expected != nil && slices.Contains(*expected, kind)
}

// looksLikeHeader says whether a line has what only the header of a message has: its
// name, its unit, or a quoted topic.
func looksLikeHeader(line []byte) bool {
	return bytes.HasPrefix(line, []byte(msubFramer)) || bytes.Contains(line, []byte("byte,")) || bytes.Contains(line, []byte("\"/"))
}

// looksLikeURC says whether an unknown line has the form of a URC: "+NAME: ...",
// "$GNRMC,...", or words in capitals such as "UNDER-VOLTAGE WARNING". The header of a
// message has a slash in its topic, and behind it a count of bytes, wherever it was
// damaged; of its name the first letter may be all that is left, before any part of the
// payload, and but for a late +MQTTSTATU no URC that is not known begins with that.
func looksLikeURC(line []byte) bool {
	for _, c := range line {
		if c < ' ' || c > '~' || c == '/' {
			return false
		}
	}
	name := bytes.TrimLeft(line, "+*^$#&%")
	sign, end := line[:len(line)-len(name)], bytes.IndexFunc(name, func(c rune) bool {
		return (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != ' ' && c != '-' && c != '_'
	})
	for _, piece := range []string{"MS", "SU", "UB"} { // of +MSUB
		if bytes.Contains(name[:max(end, 0)], []byte(piece)) {
			return false
		}
	}
	switch {
	case bytes.Contains(line, []byte("byte,")), len(name) < 2 || name[0] < 'A' || name[0] > 'Z' || end == 0:
		return false
	case len(sign) == 0 && end < 0:
		return true // words
	case len(sign) > 1 || end < 0, string(sign) == "+" && name[0] == 'M' && !bytes.HasPrefix(line, []byte("+MQTTSTATU")), len(bytes.TrimSpace(name[end+1:])) == 0:
		return false
	}
	return name[end] == ':' || name[end] == ',' && string(sign) == "$"
}
