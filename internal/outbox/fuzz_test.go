package outbox

import (
	"bytes"
	"testing"
)

// FuzzSegment gives the reader a segment with arbitrary bytes from the first
// settled sector on: it opens, and what it finds it can also read.
func FuzzSegment(f *testing.F) {
	disk, _ := smallStore(f)
	for _, file := range disk.now {
		f.Add(file.data, false)
		f.Add(file.data, true)
	}
	h := header{number: 7, nonce: 1, base: 1}
	body := appendRecord(nil, seed(h.nonce), &record{seq: 5, origin: 1, ordinal: 0}, "topic", []byte("payload"))
	f.Add(append(segmentHead(h), body...), true)
	f.Fuzz(func(t *testing.T, data []byte, keepHeader bool) {
		data = bytes.Clone(data)
		if keepHeader && len(data) >= headSize {
			copy(data, h.encode())
			copy(data[headerCopy:], h.encode())
		}
		disk := newMemFS()
		disk.now[segmentName(h.number)] = &memFile{data: data}
		q, err := Open("", Limits{}, Options{files: disk, segmentSize: testSegment})
		if err != nil {
			return // a newer version
		}
		page, total := q.List("", 1<<20)
		if total != len(page) {
			t.Errorf("%d of %d are listed", len(page), total)
		}
		last := ""
		for _, m := range page {
			if m.ID <= last {
				t.Errorf("%s follows %s", m.ID, last)
			}
			last = m.ID
			if int64(len(m.Topic)+len(m.Payload)) == 0 {
				t.Errorf("empty: %+v", m)
			}
		}
		q.commit()
	})
}

// FuzzRecord: what is written is read; anything else is refused or whole.
func FuzzRecord(f *testing.F) {
	f.Add(uint64(1), int64(2), int64(3), uint16(4), byte(1), "topic", []byte("payload"), uint(17))
	f.Fuzz(func(t *testing.T, seq uint64, origin, expiry int64, ordinal uint16, prio byte, topic string, payload []byte, flip uint) {
		if len(topic) > maxTopic {
			return
		}
		in := record{seq: seq, origin: origin, expiry: expiry, ordinal: ordinal, priority: Priority(prio % 3)}
		b := appendRecord(nil, 9, &in, topic, payload)
		out, n, ok := decodeRecord(b, 9)
		if !ok || padded(int64(n)) != int64(len(b)) || string(out.topic) != topic || !bytes.Equal(out.payload, payload) || out.seq != seq ||
			out.origin != origin || out.expiry != expiry || out.ordinal != ordinal || out.priority != in.priority {
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
