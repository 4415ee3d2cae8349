package atengine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
)

// testFramers cut the two raw blocks of the Air dialect by their plain headers.
func testFramers() []Framer {
	return []Framer{{Name: "msub", Frame: frameTestMessage}, {Name: "httpread", Frame: frameTestHTTP}}
}

// frameTestMessage knows +MSUB: "topic",12 byte,payload and sets no bound to
// the count, so that the scanner's own bound is tested.
func frameTestMessage(buf []byte) (int, Verdict) {
	if n, v := hasPrefix(buf, `+MSUB: "`); v != Match {
		return n, v
	}
	header, closed := buf, false
	if end := bytes.IndexAny(buf, "\r\n"); end >= 0 {
		header, closed = buf[:end], true
	}
	i := bytes.Index(header, []byte(" byte,"))
	if i < 0 && !closed {
		return 0, NeedMore
	}
	if i < 0 {
		return 0, NoMatch
	}
	count, err := strconv.Atoi(string(header[bytes.LastIndexByte(header[:i], ',')+1 : i]))
	if err != nil || count < 0 {
		return 0, NoMatch
	}
	return i + len(" byte,") + count, Match
}

// frameTestHTTP knows +HTTPREAD: 149, a line end, and that many bytes.
func frameTestHTTP(buf []byte) (int, Verdict) {
	const prefix = "+HTTPREAD: "
	if n, v := hasPrefix(buf, prefix); v != Match {
		return n, v
	}
	end := bytes.IndexAny(buf, "\r\n")
	if end < 0 || buf[end] == '\r' && end+1 == len(buf) {
		return 0, NeedMore
	}
	count, err := strconv.Atoi(string(buf[len(prefix):end]))
	if err != nil || count < 0 {
		return 0, NoMatch
	}
	if buf[end] == '\r' && buf[end+1] == '\n' {
		end++
	}
	return end + 1 + count, Match
}

func hasPrefix(buf []byte, prefix string) (int, Verdict) {
	n := min(len(buf), len(prefix))
	switch {
	case string(buf[:n]) != prefix[:n]:
		return 0, NoMatch
	case n < len(prefix):
		return 0, NeedMore
	}
	return 0, Match
}

// message is a downlink message as the module sends it.
func message(topic, payload string) string {
	return fmt.Sprintf("+MSUB: %q,%d byte,%s", topic, len(payload), payload)
}

// show writes a token down so that two can be compared and read.
func show(t Token) string {
	if t.Cut {
		t.Cut = false
		return "cut " + show(t)
	}
	switch t.Kind {
	case Line:
		return fmt.Sprintf("line %q", t.Bytes)
	case Block:
		return fmt.Sprintf("block %s %q", t.Framer, t.Bytes)
	case Prompt:
		return fmt.Sprintf("prompt %q", t.Bytes)
	case Overlong:
		return fmt.Sprintf("overlong %d %q", t.Size, t.Bytes)
	}
	return fmt.Sprintf("kind %d?", t.Kind)
}

// scan feeds chunks to a fresh scanner and returns the tokens and the scanner.
func scan(maxLine int, framers []Framer, prompt bool, chunks ...[]byte) ([]string, *Scanner) {
	var got []string
	s := NewScanner(maxLine, framers)
	s.ExpectPrompt(prompt)
	for _, c := range chunks {
		// A copy that is spoilt afterwards, so that a token or a scanner that
		// keeps the caller's memory is found out.
		own := bytes.Clone(c)
		s.Feed(own, func(t Token) { got = append(got, show(t)) })
		for i := range own {
			own[i] = '#'
		}
	}
	return got, s
}

// chunkings cuts in in every way that has ever broken a scanner: whole, byte by
// byte, at each single place, and at random.
func chunkings(in []byte, visit func(how string, chunks [][]byte)) {
	visit("whole", [][]byte{in})
	single := make([][]byte, 0, len(in))
	for i := range in {
		single = append(single, in[i:i+1])
	}
	visit("byte by byte", single)
	for i := 1; i < len(in); i++ {
		visit(fmt.Sprintf("split at %d", i), [][]byte{in[:i], in[i:]})
	}
	rnd := rand.New(rand.NewPCG(1, uint64(len(in))))
	for round := range 50 {
		visit(fmt.Sprintf("random %d", round), randomChunks(rnd, in, 1+rnd.IntN(40)))
	}
}

func randomChunks(rnd *rand.Rand, in []byte, most int) (chunks [][]byte) {
	for len(in) > 0 {
		n := min(1+rnd.IntN(most), len(in))
		chunks = append(chunks, in[:n])
		in = in[n:]
	}
	return chunks
}

// sameHowever checks that the tokens of in are want, however it is chunked, and
// that afterwards held bytes are held back.
func sameHowever(t *testing.T, maxLine int, framers []Framer, prompt bool, in string, want []string, held int) {
	t.Helper()
	chunkings([]byte(in), func(how string, chunks [][]byte) {
		t.Helper()
		got, s := scan(maxLine, framers, prompt, chunks...)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s: of %q\n got %v\nwant %v", how, in, got, want)
		}
		if s.Pending() != held {
			t.Fatalf("%s: of %q %d bytes are held back, want %d", how, in, s.Pending(), held)
		}
	})
}
