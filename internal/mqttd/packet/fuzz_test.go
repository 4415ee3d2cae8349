package packet

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"testing"
	"testing/iotest"
)

// FuzzDecode: no bytes make the decoder panic; what it takes is written and read
// again as the same; what it refuses is refused with a code; and its lists never
// promise more than is there.
func FuzzDecode(f *testing.F) {
	for _, c := range wire {
		raw := unhex(f, c.bytes)
		f.Add(raw[0], raw[2:], c.level)
	}
	f.Fuzz(func(t *testing.T, first byte, body []byte, level byte) {
		level = Level31 + level%3
		p, err := Decode(first, bytes.Clone(body), level)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || !e.Code.Failed() {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if c, ok := p.(*Connect); ok {
			level = c.Level
		}
		raw := Append(nil, p, level)
		next, body2, err := NewReader(bytes.NewReader(raw), len(raw)).Next()
		if err != nil {
			t.Fatalf("what was written cannot be read: %v: %x", err, raw)
		}
		again, err := Decode(next, body2, level)
		if err != nil || !same(p, again) {
			t.Fatalf("read as\n%+v\nwritten as %x and read as\n%+v, %v", p, raw, again, err)
		}
		if s, ok := p.(*Subscribe); ok && len(slices.Collect(s.Filters())) == 0 {
			t.Fatal("a SUBSCRIBE without a filter")
		}
	})
}

// same compares two packets, an empty slice being as good as none.
func same(a, b Packet) bool {
	if p, ok := a.(*Publish); ok {
		q, ok := b.(*Publish)
		return ok && p.Dup == q.Dup && p.QoS == q.QoS && p.Retain == q.Retain && p.Topic == q.Topic && p.ID == q.ID &&
			bytes.Equal(p.Properties, q.Properties) && bytes.Equal(p.Payload, q.Payload)
	}
	if p, ok := a.(*Suback); ok {
		q, ok := b.(*Suback)
		return ok && p.Kind == q.Kind && p.ID == q.ID && bytes.Equal(p.Properties, q.Properties) && bytes.Equal(p.Codes, q.Codes)
	}
	return reflect.DeepEqual(a, b)
}

// FuzzReader: a stream is cut into the same packets however it arrives, and no
// packet takes memory over the limit, nor more than twice what has arrived of it
// beyond its first part.
func FuzzReader(f *testing.F) {
	var all []byte
	for _, c := range wire {
		all = append(all, unhex(f, c.bytes)...)
	}
	f.Add(all)
	f.Add([]byte{0x30, 0xff, 0x7f, 1, 2, 3})
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 16 << 10
		whole, wholeErr := cut(t, bytes.NewReader(stream), limit, len(stream))
		byByte, byteErr := cut(t, iotest.OneByteReader(bytes.NewReader(stream)), limit, len(stream))
		if !slices.Equal(whole, byByte) || (wholeErr == io.EOF) != (byteErr == io.EOF) {
			t.Fatalf("%q, %v whole; %q, %v byte by byte", whole, wholeErr, byByte, byteErr)
		}
	})
}

// cut reads packets until there are no more.
func cut(t *testing.T, in io.Reader, limit, sent int) (packets []string, err error) {
	counted := 0
	r := NewReader(in, limit)
	r.Account = func(more int) error {
		if counted += more; counted > limit || counted > firstPart+2*sent {
			t.Fatalf("%d bytes taken for a packet; the limit is %d and %d were sent", counted, limit, sent)
		}
		return nil
	}
	for {
		first, body, err := r.Next()
		if err != nil {
			if counted != 0 {
				t.Fatalf("%d bytes stay counted after %v", counted, err)
			}
			return packets, err
		}
		packets = append(packets, string(first)+string(body))
	}
}
