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
	case kind == DownlinkBad, kind == Unknown && bytes.HasPrefix(t.Bytes, []byte(msubFramer)), kind == Unknown && bytes.Contains(t.Bytes, []byte(" byte,")):
		return true
	case !m.live.Load() || m.asked.Load():
		return false
	case kind == Unknown:
		return !looksLikeURC(t.Bytes)
	case kind == Overlong, kind == StrayBlock, kind == StrayPrompt, kind == Echo: // the engine knows the echo of what it has sent
		return true
	}
	return slices.Contains(completions, kind) && !m.due(kind)
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

// looksLikeURC says whether an unknown line has the form of a URC: "+NAME: ...",
// "$GNRMC,...", or words in capitals such as "UNDER-VOLTAGE WARNING". The header of a
// message has a slash in its topic, and behind it a count of bytes, wherever it was
// damaged.
func looksLikeURC(line []byte) bool {
	for _, c := range line {
		if c < ' ' || c > '~' || c == '/' {
			return false
		}
	}
	for _, piece := range []string{"byte,", "MSU", "SUB"} {
		if bytes.Contains(line, []byte(piece)) {
			return false
		}
	}
	name := bytes.TrimLeft(line, "+*^$#&%")
	if len(name) == 0 || len(line)-len(name) > 1 || name[0] < 'A' || name[0] > 'Z' {
		return false
	}
	for _, c := range name {
		switch {
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == ' ', c == '-', c == '_':
		default:
			return c == ':' || c == ','
		}
	}
	return true
}
