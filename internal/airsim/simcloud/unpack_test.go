package simcloud

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/base64"
	"io"
	"testing"
)

// What a gateway packs into one message a receiver at the cloud takes apart, and says
// so where it cannot.
func TestReadingsAreUnpacked(t *testing.T) {
	dictionary := []byte(`{"n":0}`)
	packed := func(text string, to func(io.Writer) io.WriteCloser) []byte {
		var b bytes.Buffer
		w := to(&b)
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	deflated := func(w io.Writer) io.WriteCloser {
		d, err := flate.NewWriterDict(w, flate.BestCompression, dictionary)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const lines = "{\"n\":1}\n{\"n\":2}\n"
	whole := packed(lines, deflated)
	for _, c := range []struct {
		name    string
		packing Packing
		message []byte
		want    string // readings with a blank between; empty: it is trouble
	}{
		{"an array", Packing{Envelope: "json-array"}, []byte(`[{"n":1},{"n":2}]`), `{"n":1} {"n":2}`},
		{"lines", Packing{Envelope: "ndjson", Compress: "none"}, []byte(lines), `{"n":1} {"n":2}`},
		{"lengths", Packing{Envelope: "length-prefixed"}, []byte("\x00\x00\x00\x01a\x00\x00\x00\x02bc"), "a bc"},
		{"deflate", Packing{Envelope: "ndjson", Compress: "deflate", Dictionary: dictionary}, whole, `{"n":1} {"n":2}`},
		{"gzip in base64", Packing{Envelope: "ndjson", Compress: "gzip", Base64: true}, []byte(base64.StdEncoding.EncodeToString(packed(lines, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }))), `{"n":1} {"n":2}`},
		{"a cut array", Packing{Envelope: "json-array"}, []byte(`[{"n":1},`), ""},
		{"a cut line", Packing{Envelope: "ndjson"}, []byte(lines[:10]), ""},
		{"a cut length", Packing{Envelope: "length-prefixed"}, []byte("\x00\x00\x00\x02a"), ""},
		{"a cut stream", Packing{Envelope: "ndjson", Compress: "deflate", Dictionary: dictionary}, whole[:len(whole)-1], ""},
		{"no base64", Packing{Envelope: "ndjson", Base64: true}, []byte("?"), ""},
		{"no gzip", Packing{Envelope: "ndjson", Compress: "gzip"}, []byte(lines), ""},
		{"no envelope", Packing{}, []byte(lines), ""},
	} {
		cloud := New(Options{Unpack: []Unpacking{{"/a/+", c.packing}}})
		r := cloud.unpacked(Received{Topic: "/a/b", Payload: c.message})
		if got := string(bytes.Join(r.Readings, []byte(" "))); got != c.want || (r.Trouble == "") != (c.want != "") {
			t.Errorf("%s: %q, trouble %q", c.name, got, r.Trouble)
		}
		if r := cloud.unpacked(Received{Topic: "/b", Payload: c.message}); r.Readings != nil || r.Trouble != "" {
			t.Errorf("%s: another topic: %q, %q", c.name, r.Readings, r.Trouble)
		}
	}
}
