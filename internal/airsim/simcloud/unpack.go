package simcloud

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Packing is how a gateway packs several readings into one message: what its receiver
// has to know. The words are those of its configuration.
type Packing struct {
	Envelope   string // "json-array", "ndjson" or "length-prefixed"
	Compress   string // "", "none", "deflate" or "gzip"
	Dictionary []byte // preset, of deflate
	Base64     bool
}

// Unpacking is how the messages of some topics are packed.
type Unpacking struct {
	Filter string
	Packing
}

// unpacked has the readings of a message in it, if its topic has any.
func (c *Cloud) unpacked(r Received) Received {
	for _, u := range c.o.Unpack {
		if !falls(r.Topic, u.Filter) {
			continue
		}
		readings, err := u.Unpack(r.Payload)
		if err != nil {
			r.Trouble = err.Error()
		}
		r.Readings = append([][]byte{}, readings...)
		break
	}
	return r
}

// Unpack takes the readings out of a message, as a receiver at the cloud does: with the
// standard library alone.
func (p Packing) Unpack(message []byte) ([][]byte, error) {
	if p.Base64 {
		plain, err := base64.StdEncoding.DecodeString(string(message))
		if err != nil {
			return nil, err
		}
		message = plain
	}
	var stream io.Reader = bytes.NewReader(message)
	switch p.Compress {
	case "deflate":
		stream = flate.NewReaderDict(stream, p.Dictionary)
	case "gzip":
		unzipped, err := gzip.NewReader(stream)
		if err != nil {
			return nil, err
		}
		stream = unzipped
	}
	envelope, err := io.ReadAll(stream)
	if err != nil {
		return nil, err
	}
	return p.open(envelope)
}

var errEnvelope = errors.New("the envelope is not whole")

func (p Packing) open(envelope []byte) (readings [][]byte, err error) {
	switch p.Envelope {
	case "json-array":
		var list []json.RawMessage
		if err := json.Unmarshal(envelope, &list); err != nil {
			return nil, err
		}
		for _, reading := range list {
			readings = append(readings, reading)
		}
	case "ndjson":
		if !bytes.HasSuffix(envelope, []byte("\n")) {
			return nil, errEnvelope
		}
		readings = bytes.Split(envelope[:len(envelope)-1], []byte("\n"))
	case "length-prefixed":
		for len(envelope) > 0 {
			if len(envelope) < 4 || uint64(binary.BigEndian.Uint32(envelope)) > uint64(len(envelope)-4) {
				return nil, errEnvelope
			}
			end := 4 + int(binary.BigEndian.Uint32(envelope))
			readings, envelope = append(readings, envelope[4:end]), envelope[end:]
		}
	default:
		return nil, fmt.Errorf("there is no envelope %q", p.Envelope)
	}
	return readings, nil
}
