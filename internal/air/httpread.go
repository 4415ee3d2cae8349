package air

import (
	"bytes"

	"airbridged/internal/atengine"
)

// The answer to HTTPREAD is a block: "+HTTPREAD: 149", a line end, and 149 bytes
// (vendor quick guide). The count of HTTPACTION is not used: a manual sample has
// 1348 there and 1592 here.
const (
	httpReadFramer = "+HTTPREAD"
	httpReadName   = "+HTTPREAD:"
	// httpReadEnds: there is no blank line between the body and OK (vendor logs).
	httpReadEnds = 1

	// maxRead is the largest answer that is believed, in bytes; the cloud's are
	// below 1 KiB, the module's buffer holds 4 KiB and more.
	maxRead = 65536
)

// frameHTTPRead cuts the answer to HTTPREAD by its own count.
func frameHTTPRead(buf []byte) (int, atengine.Verdict) {
	header, count, v := readHTTPHeader(buf)
	return header + count, v
}

// readHTTPHeader returns the length of the first line with its line end (CR LF,
// LF or CR), and the count in it.
func readHTTPHeader(buf []byte) (header, count int, v atengine.Verdict) {
	if len(buf) < len(httpReadName) {
		return 0, 0, needMoreIf(bytes.HasPrefix([]byte(httpReadName), buf))
	}
	if !bytes.HasPrefix(buf, []byte(httpReadName)) {
		return 0, 0, atengine.NoMatch
	}
	const longest = len(httpReadName) + 16
	window := buf[:min(len(buf), longest)]
	end := bytes.IndexAny(window, "\r\n")
	if end < 0 {
		return 0, 0, needMoreIf(len(buf) < longest)
	}
	count, err := decimal(bytes.TrimSpace(window[len(httpReadName):end]))
	if err != nil || count > maxRead {
		return 0, 0, atengine.NoMatch
	}
	if buf[end] == '\r' {
		if end+1 == len(buf) {
			return 0, 0, atengine.NeedMore
		}
		if buf[end+1] == '\n' {
			end++
		}
	}
	return end + 1, count, atengine.Match
}

// httpReadAnswer returns an Info function for the block, and for what stands between it
// and OK without being a URC: the rest of a body that is longer than its count.
func httpReadAnswer() func([]byte) bool {
	begun := false
	return func(line []byte) bool {
		_, own := answer(line, httpReadFramer)
		begun = begun || own
		return own || begun && Classify(line) == Unknown
	}
}

// parseHTTPRead returns a copy of the body in a block that frameHTTPRead has cut.
// A block that lost bytes is an error.
func parseHTTPRead(block []byte) ([]byte, error) {
	header, count, v := readHTTPHeader(block)
	if v != atengine.Match || len(block) != header+count {
		return nil, malformed("AT+HTTPREAD: bytes of the answer were lost")
	}
	return append(make([]byte, 0, count), block[header:]...), nil
}
