package batch

import (
	"bytes"
	stdflate "compress/flate"
	stdgzip "compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// drifting makes readings as a meter sends them: one every ten seconds, each value a
// little beside the one before.
func drifting(n int, seed uint64) (list [][]byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	at, number, temperature, humidity := 1796000000, 48213, 21.5, 48.0
	for range n {
		at, number = at+10, number+1
		temperature += float64(r.IntN(5)-2) / 10
		humidity += float64(r.IntN(5)-2) / 10
		list = append(list, fmt.Appendf(nil, `{"t":%d,"n":%d,"temp":%.1f,"hum":%.1f}`, at, number, temperature, humidity))
	}
	return list
}

func forms() (list []Form) {
	for _, e := range Envelopes() {
		for _, c := range Compressions() {
			for _, n := range Encodings() {
				f := Form{Envelope: Envelope(e), Compress: Compression(c), Encoding: Encoding(n)}
				list = append(list, f)
				if f.Compress == Deflate {
					f.Dictionary = drifting(1, 9)[0]
					list = append(list, f)
				}
			}
		}
	}
	return list
}

func (f Form) name() string {
	return fmt.Sprintf("%s %s %s %d", f.Envelope, f.Compress, f.Encoding, len(f.Dictionary))
}

func TestEveryFormComesBack(t *testing.T) {
	for _, f := range forms() {
		for _, n := range []int{1, 2, 20, 100} {
			readings := drifting(n, uint64(n))
			payload := f.Encode(readings)
			if again := f.Encode(readings); !bytes.Equal(payload, again) {
				t.Errorf("%s: the same %d readings make other bytes the second time", f.name(), n)
			}
			got, err := f.Decode(payload)
			if err != nil || !slices.EqualFunc(got, readings, bytes.Equal) {
				t.Errorf("%s: %d readings come back as %q, %v", f.name(), n, got, err)
			}
			for cut := range payload {
				if got, err := f.Decode(payload[:cut]); err == nil && len(got) == n {
					t.Errorf("%s: %d of %d bytes decode as if nothing were missing", f.name(), cut, len(payload))
				}
			}
		}
	}
}

func TestEnvelopesToTheByte(t *testing.T) {
	for e, want := range map[Envelope]string{
		JSONArray:      `[1,{"a":2}]`,
		NDJSON:         "1\n{\"a\":2}\n",
		LengthPrefixed: "\x00\x00\x00\x011\x00\x00\x00\x07{\"a\":2}",
	} {
		readings := [][]byte{[]byte("1"), []byte(`{"a":2}`)}
		if got := string(e.wrap(readings)); got != want || e.size(readings) != len(want) {
			t.Errorf("%s: %q, of %d bytes by size, want %q of %d", e, got, e.size(readings), want, len(want))
		}
	}
}

// What receivers have is the standard library of their language: zlib, behind most of
// them, and Go's own. A stream that was flushed and not closed is an error for one and
// nothing for another.
func TestStandardDecodersReadIt(t *testing.T) {
	readings := drifting(20, 2)
	want := string(NDJSON.wrap(readings))
	dictionary := drifting(1, 9)[0]
	deflated := Form{Envelope: NDJSON, Compress: Deflate, Dictionary: dictionary}.Encode(readings)
	got, err := io.ReadAll(stdflate.NewReaderDict(bytes.NewReader(deflated), dictionary))
	if err != nil || string(got) != want {
		t.Errorf("compress/flate: %q, %v", got, err)
	}
	zipped := Form{Envelope: NDJSON, Compress: Gzip}.Encode(readings)
	r, err := stdgzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		t.Fatal(err)
	}
	if got, err = io.ReadAll(r); err != nil || string(got) != want {
		t.Errorf("compress/gzip: %q, %v", got, err)
	}
}

// A reading that breaks the envelope takes with it those that stand beside it.
func TestFits(t *testing.T) {
	for _, c := range []struct {
		reading string
		words   map[Envelope]string // none: it fits
	}{
		{`{"a":1}`, nil},
		{` [1, 2] `, nil},
		{`42`, nil},
		{"{\"a\":\n1}", map[Envelope]string{NDJSON: "line break at offset 5"}},
		{"1\n", map[Envelope]string{NDJSON: "line break at offset 1"}},
		{"1\r", map[Envelope]string{NDJSON: "line break"}},
		{"", map[Envelope]string{NDJSON: "not JSON", JSONArray: "not JSON"}},
		{"plain text", map[Envelope]string{NDJSON: "not JSON", JSONArray: "not JSON"}},
		{"1,2", map[Envelope]string{NDJSON: "not JSON", JSONArray: "not JSON"}},
		{"1]", map[Envelope]string{NDJSON: "not JSON", JSONArray: "not JSON"}},
		{`{"a":1}{"b":2}`, map[Envelope]string{NDJSON: "not JSON", JSONArray: "not JSON"}},
		{"NaN", map[Envelope]string{NDJSON: "not JSON", JSONArray: "not JSON"}},
		{"\ufeff1", map[Envelope]string{NDJSON: "not JSON", JSONArray: "not JSON"}},
		{"\"\xff\"", map[Envelope]string{NDJSON: "not UTF-8", JSONArray: "not UTF-8"}},
		{"\x00\x01", map[Envelope]string{NDJSON: "not JSON", JSONArray: "not JSON"}},
	} {
		for _, e := range Envelopes() {
			err, words := Envelope(e).Fits([]byte(c.reading)), c.words[Envelope(e)]
			if (err == nil) != (words == "") || err != nil && !strings.Contains(err.Error(), words) {
				t.Errorf("%q in %s: %v, want %q", c.reading, e, err, words)
			}
		}
	}
}

func TestPackTakesWhatFits(t *testing.T) {
	readings := drifting(100, 3)
	for _, f := range forms() {
		for _, limit := range []int{1, 10, 60, 100, 600, 1360, 4100, 1 << 20} {
			carries := func(b []byte, _ int) bool { return len(b) <= limit }
			rule := Rule{Form: f, MaxMessages: 100}
			payload, n := rule.Pack(readings, carries)
			if want := f.Encode(readings[:max(n, 1)]); !bytes.Equal(payload, want) {
				t.Fatalf("%s: the payload is not that of %d readings", f.name(), n)
			}
			if n > 0 && len(payload) > limit {
				t.Errorf("%s: %d bytes, and the limit is %d", f.name(), len(payload), limit)
			}
			if n < len(readings) && carries(f.Encode(readings[:n+1]), n+1) {
				t.Errorf("%s: %d of %d readings, and one more fits into %d", f.name(), n, len(readings), limit)
			}
			rule.MaxBytes = limit
			if own, m := rule.Pack(readings, func([]byte, int) bool { return true }); m != n || !bytes.Equal(own, payload) {
				t.Errorf("%s: max_bytes = %d takes %d readings, the same limit of the module %d", f.name(), limit, m, n)
			}
		}
	}
}

// A receiver may bound what it inflates, a lone reading of zeros too.
func TestNothingUnpacksToMoreThanItsBound(t *testing.T) {
	rule := Rule{Form: Form{Envelope: LengthPrefixed, Compress: Deflate}, MaxMessages: MaxMessages}
	zeros := make([]byte, 10_000)
	all := func([]byte, int) bool { return true }
	if _, n := rule.Pack(slices.Repeat([][]byte{zeros}, 20), all); n != 6 {
		t.Errorf("%d readings of 10,000 bytes in a batch, want 6", n)
	}
	if _, n := rule.Pack([][]byte{make([]byte, MaxUnpacked)}, all); n != 0 {
		t.Error("a reading that does not fit into the bound with its length is packed")
	}
	readings, size := 0, 0
	for rule.Room(readings, size, len(zeros)) {
		readings, size = readings+1, size+len(zeros)
	}
	if readings != 6 {
		t.Errorf("there is room for %d readings of 10,000 bytes, want 6", readings)
	}
}

func TestARuleIsFoundByTopic(t *testing.T) {
	rules := Rules{{Topic: "/p/d/update"}, {Topic: "/p/d/meters/+"}}
	for name, want := range map[string]int{"/p/d/update": 0, "/p/d/meters/7": 1, "/p/d/meters/7/x": -1, "/p/d": -1} {
		got := rules.Of(name)
		if want < 0 && got != nil || want >= 0 && got != &rules[want] {
			t.Errorf("%s: %v, want rule %d", name, got, want)
		}
	}
}

// TestBytesOfAReading holds docs/batching.md to what is measured.
func TestBytesOfAReading(t *testing.T) {
	dictionary := drifting(1, 9)[0]
	for _, n := range []int{1, 5, 20, 100} {
		readings := drifting(n, 2)
		size := func(f Form) int { return len(f.Encode(readings)) }
		t.Logf("%3d readings: plain %4d, gzip %3d, deflate %3d, with a dictionary %3d, that in base64 %3d", n,
			size(Form{Envelope: NDJSON}), size(Form{Envelope: NDJSON, Compress: Gzip}), size(Form{Envelope: NDJSON, Compress: Deflate}),
			size(Form{Envelope: NDJSON, Compress: Deflate, Dictionary: dictionary}),
			size(Form{Envelope: NDJSON, Compress: Deflate, Dictionary: dictionary, Encoding: Base64}))
	}
	readings := drifting(20, 2)
	plain := len(Form{Envelope: NDJSON}.Encode(readings))
	if packed := len(Form{Envelope: NDJSON, Compress: Deflate, Dictionary: dictionary}.Encode(readings)); packed*6 > plain {
		t.Errorf("20 readings of %d bytes take %d with a dictionary, over a sixth", plain, packed)
	}
}

func FuzzDecode(f *testing.F) {
	all := forms()
	for i, form := range all {
		f.Add(byte(i), form.Encode(drifting(3, 1)))
	}
	f.Fuzz(func(t *testing.T, which byte, payload []byte) {
		form := all[int(which)%len(all)]
		readings, err := form.Decode(payload)
		if err != nil || len(readings) == 0 {
			return
		}
		got, err := form.Decode(form.Encode(readings))
		if err != nil || !slices.EqualFunc(got, readings, bytes.Equal) {
			t.Errorf("%s: %q comes back as %q, %v", form.name(), readings, got, err)
		}
	})
}

func BenchmarkPack(b *testing.B) {
	readings := drifting(100, 2)
	rule := Rule{Form: Form{Envelope: NDJSON, Compress: Deflate, Dictionary: drifting(1, 9)[0]}, MaxMessages: 100}
	for _, limit := range []int{4100, 500} {
		b.Run(fmt.Sprint(limit), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rule.Pack(readings, func(p []byte, _ int) bool { return len(p) <= limit })
			}
		})
	}
}
