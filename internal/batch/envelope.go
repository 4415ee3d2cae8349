package batch

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Envelope is how readings stand one behind the other.
type Envelope string

// The envelopes.
const (
	JSONArray      Envelope = "json-array"      // [a,b]; RFC 8259
	NDJSON         Envelope = "ndjson"          // each followed by LF; github.com/ndjson/ndjson-spec 1.0
	LengthPrefixed Envelope = "length-prefixed" // each behind its length in 4 bytes, big endian
)

// Envelopes are all there are.
func Envelopes() []string { return []string{string(JSONArray), string(NDJSON), string(LengthPrefixed)} }

// prefix is the length of a length.
const prefix = 4

// Fits says why a reading can not stand in the envelope; nil: it can. One that did all
// the same would spoil those beside it, so both JSON envelopes want JSON in UTF-8, and
// the one of lines wants it in one line: no CR either, which many readers of text take
// for a line's end.
func (e Envelope) Fits(reading []byte) error {
	if e == LengthPrefixed {
		return nil
	}
	switch {
	case !utf8.Valid(reading):
		return fmt.Errorf("this topic carries readings in one %s, and the payload is not UTF-8", e)
	case !json.Valid(reading):
		return fmt.Errorf("this topic carries readings in one %s, and the payload is not JSON", e)
	case e == NDJSON && bytes.ContainsAny(reading, "\r\n"):
		return fmt.Errorf("this topic carries readings as lines of JSON (ndjson), and the payload has a line break at offset %d", bytes.IndexAny(reading, "\r\n"))
	}
	return nil
}

// size is how many bytes readings take in the envelope.
func (e Envelope) size(readings [][]byte) int {
	n := 0
	for _, r := range readings {
		n += len(r) + 1
	}
	switch e {
	case JSONArray:
		n++
	case LengthPrefixed:
		n += len(readings) * (prefix - 1)
	}
	return n
}

// wrap puts readings, at least one, into the envelope. All of them fit.
func (e Envelope) wrap(readings [][]byte) []byte {
	b := make([]byte, 0, e.size(readings))
	for i, r := range readings {
		switch e {
		case JSONArray:
			b = append(append(b, "[,"[min(i, 1)]), r...)
		case NDJSON:
			b = append(append(b, r...), '\n')
		case LengthPrefixed:
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(r))), r...)
		}
	}
	if e == JSONArray {
		b = append(b, ']')
	}
	return b
}

// errEnvelope: the bytes are not what wrap makes.
var errEnvelope = errors.New("is no whole envelope")

// open takes readings out of the envelope. Blanks around the elements of an array are
// lost; JSON has no use for them.
func (e Envelope) open(b []byte) (readings [][]byte, err error) {
	switch e {
	case JSONArray:
		var list []json.RawMessage
		if err := json.Unmarshal(b, &list); err != nil {
			return nil, fmt.Errorf("%w: %w", errEnvelope, err)
		}
		for _, r := range list {
			readings = append(readings, r)
		}
	case NDJSON:
		for len(b) > 0 {
			line, rest, whole := bytes.Cut(b, []byte{'\n'})
			if !whole {
				return nil, fmt.Errorf("%w: the last line does not end", errEnvelope)
			}
			readings, b = append(readings, line), rest
		}
	case LengthPrefixed:
		for len(b) > 0 {
			if len(b) < prefix || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-prefix) {
				return nil, fmt.Errorf("%w: it ends within a reading", errEnvelope)
			}
			end := prefix + int(binary.BigEndian.Uint32(b))
			readings, b = append(readings, b[prefix:end]), b[end:]
		}
	}
	return slices.Clip(readings), nil
}
