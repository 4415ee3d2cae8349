package batch

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// Compression is what is done to the envelope.
type Compression string

// The compressions.
const (
	None    Compression = "none"
	Deflate Compression = "deflate" // raw, RFC 1951, with a final block
	Gzip    Compression = "gzip"    // RFC 1952, one member, without name and time
)

// Compressions are all there are.
func Compressions() []string { return []string{string(None), string(Deflate), string(Gzip)} }

// Encoding is what is done to the bytes at last.
type Encoding string

// The encodings.
const (
	Raw    Encoding = "raw"
	Base64 Encoding = "base64" // RFC 4648 section 4, padded: for modules that carry no binary
)

// Encodings are all there are.
func Encodings() []string { return []string{string(Raw), string(Base64)} }

// MaxDictionary is how much of a dictionary deflate looks back at (RFC 1951 section 2).
const MaxDictionary = 32 << 10

// Form is how the readings of a topic travel.
type Form struct {
	Envelope   Envelope
	Compress   Compression
	Dictionary []byte // preset, of Deflate only; nil: none. At most MaxDictionary bytes
	Encoding   Encoding
}

// Binary says that a payload of this form may hold any byte, whatever the readings hold.
func (f Form) Binary() bool {
	return f.Encoding != Base64 && (f.Envelope == LengthPrefixed || f.Compress == Deflate || f.Compress == Gzip)
}

// Plain says that a payload of this form has the bytes of its readings as they are.
func (f Form) Plain() bool {
	return f.Compress != Deflate && f.Compress != Gzip && f.Encoding != Base64
}

// Encode makes one payload of readings, at least one, each of which fits the envelope.
func (f Form) Encode(readings [][]byte) []byte {
	b := f.Envelope.wrap(readings)
	switch f.Compress {
	case Deflate:
		b = deflate(nil, b, f.Dictionary)
	case Gzip:
		b = gzip(b)
	}
	if f.Encoding == Base64 {
		b = base64.StdEncoding.AppendEncode(nil, b)
	}
	return b
}

// Decode takes the readings out of a payload. It gives up beyond MaxUnpacked bytes.
func (f Form) Decode(payload []byte) (readings [][]byte, err error) {
	b := payload
	if f.Encoding == Base64 {
		if b, err = base64.StdEncoding.DecodeString(string(payload)); err != nil {
			return nil, fmt.Errorf("is no base64: %w", err)
		}
	}
	switch f.Compress {
	case Deflate:
		b, err = inflate(b, f.Dictionary)
	case Gzip:
		b, err = gunzip(b)
	}
	if err != nil {
		return nil, err
	}
	return f.Envelope.open(b)
}

// What is chosen weighs size against time. Level 6 of this library stores what has less
// than 128 bytes, as two small readings have, where level 7 finds half of it again; of
// more, 7 saves 1 % of the bytes for up to three times the time.
const (
	smallLevel = 7 // up to small bytes
	small      = 256
	level      = 6
)

// smallWriters and writers hold compressors that are not in use: each has a megabyte of
// tables.
var smallWriters, writers = pool(smallLevel), pool(level)

func pool(level int) *sync.Pool {
	return &sync.Pool{New: func() any {
		w, err := flate.NewWriterDict(io.Discard, level, nil)
		if err != nil {
			panic(err) // the level is one of flate's
		}
		return w
	}}
}

// deflate appends b as a raw deflate stream. It is ended by Close: a stream that was
// only flushed has no final block, which decoders take for an error, or silently for
// nothing at all.
func deflate(to, b, dictionary []byte) []byte {
	out, unused := bytes.NewBuffer(to), writers
	if len(b) <= small {
		unused = smallWriters
	}
	w := unused.Get().(*flate.Writer)
	w.ResetDict(out, dictionary)
	_, _ = w.Write(b) // a buffer takes everything
	_ = w.Close()
	unused.Put(w)
	return out.Bytes()
}

// errDeflate: the bytes are no deflate stream of this form.
var errDeflate = errors.New("is no whole deflate stream")

func inflate(b, dictionary []byte) ([]byte, error) {
	in := bytes.NewReader(b)
	out, err := io.ReadAll(io.LimitReader(flate.NewReaderDict(in, dictionary), MaxUnpacked+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errDeflate, err)
	case len(out) > MaxUnpacked:
		return nil, fmt.Errorf("%w of at most %d bytes", errDeflate, MaxUnpacked)
	case in.Len() > 0:
		return nil, fmt.Errorf("%w: %d bytes are left over", errDeflate, in.Len())
	}
	return out, nil
}

// gzipHead is a member's head (RFC 1952 section 2.3): deflate, no flags, no time, no
// system. gzipTail is the length of what ends it: checksum and size.
const (
	gzipHead = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
	gzipTail = 8
)

func gzip(b []byte) []byte {
	out := deflate([]byte(gzipHead), b, nil)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(b))
	return binary.LittleEndian.AppendUint32(out, uint32(len(b)))
}

// gunzip opens what gzip makes, and no other gzip.
func gunzip(b []byte) ([]byte, error) {
	if !bytes.HasPrefix(b, []byte(gzipHead)) || len(b) < len(gzipHead)+gzipTail {
		return nil, errors.New("is no gzip of one member without name and time")
	}
	tail := b[len(b)-gzipTail:]
	out, err := inflate(b[len(gzipHead):len(b)-gzipTail], nil)
	if err == nil && (binary.LittleEndian.Uint32(tail) != crc32.ChecksumIEEE(out) || binary.LittleEndian.Uint32(tail[4:]) != uint32(len(out))) {
		err = errors.New("has a gzip checksum that does not fit")
	}
	return out, err
}
