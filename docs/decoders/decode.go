// Command decoders takes the readings out of a message, as docs/batching.md says:
//
//	go run decode.go ENVELOPE COMPRESS ENCODING [DICTIONARY] <message
package main

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"log"
	"os"
)

func unpack(message io.Reader, envelope, compress, encoding string, dictionary []byte) (readings [][]byte, err error) {
	if encoding == "base64" {
		message = base64.NewDecoder(base64.StdEncoding, message)
	}
	if compress == "deflate" {
		message = flate.NewReaderDict(message, dictionary)
	} else if compress == "gzip" {
		if message, err = gzip.NewReader(message); err != nil {
			return nil, err
		}
	}
	text, err := io.ReadAll(io.LimitReader(message, 64<<10))
	if err != nil {
		return nil, err
	}
	switch envelope {
	case "json-array":
		var values []json.RawMessage
		err = json.Unmarshal(text, &values)
		for _, value := range values {
			readings = append(readings, value)
		}
	case "ndjson":
		readings = bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	case "length-prefixed":
		for r := bytes.NewReader(text); r.Len() > 0 && err == nil; {
			var size uint32
			if err = binary.Read(r, binary.BigEndian, &size); err == nil {
				reading := make([]byte, min(int(size), 64<<10))
				_, err = io.ReadFull(r, reading)
				readings = append(readings, reading)
			}
		}
	}
	return readings, err
}

func main() {
	var dictionary []byte
	if len(os.Args) > 4 {
		dictionary, _ = os.ReadFile(os.Args[4])
	}
	readings, err := unpack(os.Stdin, os.Args[1], os.Args[2], os.Args[3], dictionary)
	if err != nil {
		log.Fatal(err)
	}
	for _, reading := range readings {
		_, _ = os.Stdout.Write(append(reading, '\n'))
	}
}
