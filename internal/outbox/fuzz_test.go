package outbox

import (
	"bytes"
	"testing"

	"airbridged/internal/outbox/simdisk"
)

// FuzzSegment gives the reader arbitrary bytes behind a sound header: what it
// finds lies inside, ascends and checks, and what it does not find is counted.
func FuzzSegment(f *testing.F) {
	h := header{version: formatVersion, number: 7, nonce: 1, base: 1}
	var records []byte
	for i := range 3 {
		records = appendRecord(records, seed(h.nonce), &record{seq: uint64(5 + i), origin: 1, ordinal: uint16(i)}, "t", []byte("payload"))
	}
	f.Add(records, []byte{3}, 3)
	f.Add(records[56:], []byte{}, -1)
	f.Add(append(records[:56:56], records[112:]...), []byte{0}, 2)
	f.Fuzz(func(t *testing.T, records, settled []byte, limit int) {
		b := segmentHead(&h)
		copy(b[firstSettled*sector:headerCopy], settled)
		seg := newSegment(h, nil)
		seg.readSettled(b)
		b = append(b, records...)
		s := scanner{seg: seg, b: b, seq: h.base - 1, ordinal: -1, limit: limit}
		last, found := -1, 0
		lost := s.run(func(r *record, offset int64) {
			if again, _, ok := decodeRecord(b[offset:], seg.seed); !ok || again.seq != r.seq {
				t.Errorf("nothing sound at %d", offset)
			}
			if int(r.ordinal) <= last || limit >= 0 && int(r.ordinal) >= limit {
				t.Errorf("record %d after %d, of at most %d", r.ordinal, last, limit)
			}
			last = int(r.ordinal)
			found++
			seg.isSettled(r.ordinal)
		})
		if found+lost != last+1 || s.end > padded(int64(len(b))) {
			t.Errorf("%d found, %d lost, the last is %d; end %d of %d", found, lost, last, s.end, len(b))
		}
	})
}

// FuzzRecord: what is written is read; anything else is refused or whole.
func FuzzRecord(f *testing.F) {
	f.Add(uint64(1), int64(2), int64(3), uint16(4), byte(1), "topic", []byte("payload"), uint(17), "", uint32(0), uint64(0), uint64(0))
	f.Add(uint64(1), int64(2), int64(3), uint16(4), byte(1), "topic", []byte("payload"), uint(17), "key", uint32(1000), uint64(7), uint64(1))
	f.Fuzz(func(t *testing.T, seq uint64, origin, expiry int64, ordinal uint16, prio byte, topic string, payload []byte, flip uint,
		key string, user uint32, tail, place uint64,
	) {
		if len(topic) > maxTopic || len(key) > MaxKey {
			return
		}
		if key == "" {
			user = 0
		}
		in := record{
			seq: seq, origin: origin, expiry: expiry, ordinal: ordinal, priority: Priority(prio % 3),
			key: key, user: user, tail: tail, place: place,
		}
		b := appendRecord(nil, 9, &in, topic, payload)
		out, n, ok := decodeRecord(b, 9)
		if !ok || padded(int64(n)) != int64(len(b)) || string(out.topic) != topic || !bytes.Equal(out.payload, payload) || out.seq != seq ||
			out.origin != origin || out.expiry != expiry || out.ordinal != ordinal || out.priority != in.priority ||
			out.key != key || out.user != user || out.tail != tail || out.place != place {
			t.Fatalf("%+v became %+v", in, out)
		}
		if _, _, ok := decodeRecord(b, 10); ok {
			t.Error("another segment's record is taken")
		}
		b[int(flip)%n] ^= 1 << (flip % 8)
		if _, _, ok := decodeRecord(b, 9); ok {
			t.Error("a flipped bit is not noticed")
		}
	})
}

// FuzzKeys: whatever stands in the file of keys, the start takes it, and what is
// written is read.
func FuzzKeys(f *testing.F) {
	e := keyEntry{keyID: keyID{7, "key"}, seq: 5, tail: 6, state: Acked}
	b := make([]byte, 2*keySlot)
	e.encode(b[keySlot:])
	f.Add(b)
	f.Add(b[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		disk := simdisk.New()
		disk.Put(keysName, b)
		q, err := Open("", Limits{}, Options{Files: disk})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		for id, e := range q.keys.byID {
			again := make([]byte, keySlot)
			e.encode(again)
			got, ok := decodeKey(again)
			if !ok || got.keyID != id || got.seq != e.seq || got.tail != e.tail || got.state != e.state || got.digest != e.digest {
				t.Errorf("%+v became %+v", e, got)
			}
		}
	})
}
