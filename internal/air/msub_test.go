package air

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"airbridged/internal/atengine"
)

// msubVector is one line of testdata/msub.txt.
type msubVector struct {
	name    string
	mode    string // "0", "1" or "01": the MQTTMODE it holds for
	wire    string
	topic   string
	payload string
	lines   []string // of a vector that is no block: what is seen instead
}

func msubVectors(t testing.TB) []msubVector {
	f, err := os.Open("testdata/msub.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unquote := func(s string) string {
		u, err := strconv.Unquote(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		return u
	}
	var vectors []msubVector
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Split(s.Text(), "\t")
		if strings.HasPrefix(s.Text(), "#") || len(fields) < 4 {
			continue
		}
		v := msubVector{name: fields[0], mode: fields[1], wire: unquote(fields[2])}
		if fields[3] == "lines" {
			for _, line := range fields[4:] {
				v.lines = append(v.lines, unquote(line))
			}
		} else {
			v.topic, v.payload = unquote(fields[3]), unquote(fields[4])
		}
		vectors = append(vectors, v)
	}
	if len(vectors) < 40 {
		t.Fatalf("only %d vectors were read", len(vectors))
	}
	return vectors
}

// cut runs bytes through a scanner with this package's framers, in chunks of the
// given sizes (the last one repeats), and renders the tokens. What does not fill
// or has no line end comes out as lines.
func cut(wire []byte, hexMode bool, chunks ...int) []string {
	s := atengine.NewScanner(0, []atengine.Framer{
		{Name: msubFramer, Frame: func(b []byte) (int, atengine.Verdict) { return frameMSUB(b, hexMode) }},
		{Name: httpReadFramer, Frame: frameHTTPRead},
	})
	var tokens []string
	emit := func(t atengine.Token) {
		switch {
		case t.Kind == atengine.Block && t.Framer == msubFramer:
			topic, payload, err := parseMSUB(t.Bytes)
			tokens = append(tokens, fmt.Sprintf("message %q %q %v", topic, payload, err))
		case t.Kind == atengine.Block:
			body, err := parseHTTPRead(t.Bytes)
			tokens = append(tokens, fmt.Sprintf("body %q %v", body, err))
		default:
			tokens = append(tokens, fmt.Sprintf("line %q", t.Bytes))
		}
	}
	for len(wire) > 0 {
		n := len(wire)
		if len(chunks) > 0 {
			n = min(max(chunks[0], 1), n)
		}
		s.Feed(wire[:n], emit)
		wire = wire[n:]
		if len(chunks) > 1 {
			chunks = chunks[1:]
		}
	}
	s.Abandon(emit)
	s.Flush(emit)
	return tokens
}

// want is what a vector's tokens are, with the line that follows it.
func (v msubVector) want() []string {
	if v.lines == nil {
		return []string{fmt.Sprintf("message %q %q <nil>", v.topic, v.payload), `line "PUBACK"`}
	}
	var tokens []string
	for _, line := range v.lines {
		tokens = append(tokens, fmt.Sprintf("line %q", line))
	}
	return append(tokens, `line "PUBACK"`)
}

// P02, P03: every header form with payloads that look like protocol; bad headers
// are lines. Each vector is followed by PUBACK, which must still be seen, and is
// run whole, byte by byte and at every split.
func TestP03EveryHeaderForm(t *testing.T) {
	for _, v := range msubVectors(t) {
		for _, mode := range v.mode {
			hexMode := mode == '1'
			if _, verdict := frameMSUB([]byte(v.wire+"\r\n"), hexMode); (verdict == atengine.NoMatch) != (v.lines != nil) {
				t.Errorf("%s, mode %c: verdict %d", v.name, mode, verdict)
			}
			wire := []byte("\r\n" + v.wire + "\r\nPUBACK\r\n")
			check := func(how string, chunks ...int) {
				if got := cut(wire, hexMode, chunks...); !slices.Equal(got, v.want()) {
					t.Errorf("%s, mode %c, %s:\ngot  %q\nwant %q", v.name, mode, how, got, v.want())
				}
			}
			check("whole")
			check("byte by byte", 1)
			if len(wire) > 400 {
				check("in 7s", 7)
				continue
			}
			for split := 1; split < len(wire); split++ {
				check(fmt.Sprintf("split at %d", split), split, len(wire))
			}
		}
	}
}

// P02: payloads made of the protocol's own words, long ones and every byte value,
// in both modes.
func TestP02PayloadsThatLookLikeProtocol(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	payloads := [][]byte{
		nil, []byte("\r\nOK\r\n"), []byte("\r\n+CME ERROR: 3\r\n"), []byte(">"), []byte(`"`), []byte(","),
		{0},
		{0xff},
		[]byte(`+MSUB: "x",3 byte,abc`),
		[]byte("\r\nCLOSED\r\n"), []byte("\r\nRDY\r\n"), []byte("^boot.rom'v'!\\n"), []byte("+HTTPREAD: 10\r\n"), []byte("12 byte,"), []byte(`",3 byte,x`),
		all, bytes.Repeat(all, 16), bytes.Repeat([]byte("AB"), 2050), []byte("1234567890"), []byte("\"41\""), []byte("ABCDEF\r\n"),
	}
	for _, p := range payloads {
		for _, form := range []string{`+MSUB: "/a,b/c",%d byte,`, `+MSUB:"/a,b/c",%dbyte,`, `+MSUB: "/a,b/c",%d,`, "+MSUB: /a,b/c,%d byte,"} {
			header := fmt.Sprintf(form, len(p))
			want := []string{fmt.Sprintf("message %q %q <nil>", "/a,b/c", p), `line "OK"`}
			plain := []byte(header + string(p) + "\r\nOK\r\n")
			digits := []byte(header + string(hexadecimal(p)) + "\r\nOK\r\n")
			inQuotes := []byte(header + `"` + string(hexadecimal(p)) + `"` + "\r\nOK\r\n")
			for name, got := range map[string][]string{
				"plain": cut(plain, false), "plain, bytes": cut(plain, false, 1),
				"hex": cut(digits, true), "hex, bytes": cut(digits, true, 1),
				"quoted hex": cut(inQuotes, true), "quoted hex, bytes": cut(inQuotes, true, 1),
			} {
				if !slices.Equal(got, want) {
					t.Errorf("%s, %s: got %.300q, want %.300q", header, name, got, want)
				}
			}
		}
	}
}

// Bytes that were lost from a message in hexadecimal must not be delivered as a
// message: the block takes what follows, does not parse, and is counted.
func TestP04LostDigitsAreNotAMessage(t *testing.T) {
	wire := "+MSUB: \"t\",14 byte,7B22636D64223A202231323322\r\n\r\nPUBACK\r\n"
	got := cut([]byte(wire), true)
	if len(got) != 2 || !strings.Contains(got[0], ErrMalformed.Error()) || got[1] != `line "PUBACK"` {
		t.Errorf("got %q", got)
	}
}

// The payload handed on is the caller's: the scanner's buffer is used again.
func TestParseMSUBCopies(t *testing.T) {
	block := []byte(`+MSUB: "t",3 byte,abc`)
	_, payload, err := parseMSUB(block)
	copy(block[len(block)-3:], "xyz")
	if err != nil || string(payload) != "abc" {
		t.Errorf("got %q, %v", payload, err)
	}
}

func TestParseMSUBRefusesWhatIsNoBlock(t *testing.T) {
	for _, block := range []string{
		"", "+MSUB", "+MSUB: 0", `+MSUB: "t",3 byte,ab`, `+MSUB: "t",3 byte,abcd`, `+MSUB: "t",2 byte,zzzz`, `+MSUB: "t",1 byte,"4"`, `+MSUB: "t",9000 byte,x`,
	} {
		if topic, payload, err := parseMSUB([]byte(block)); err == nil {
			t.Errorf("%q gives %q %q", block, topic, payload)
		}
	}
}

// FuzzMSUB: the same tokens however the bytes come, the verdict on a prefix is
// never taken back, and a block always has the length its header says.
func FuzzMSUB(f *testing.F) {
	for _, v := range msubVectors(f) {
		f.Add([]byte(v.wire+"\r\nPUBACK\r\n"), v.mode == "1", uint8(3))
	}
	f.Add([]byte("+HTTPREAD: 5\r\nab\r\nc\r\nOK\r\n"), false, uint8(1))
	f.Fuzz(func(t *testing.T, wire []byte, hexMode bool, chunk uint8) {
		whole := cut(wire, hexMode)
		if got := cut(wire, hexMode, int(chunk)); !slices.Equal(got, whole) {
			t.Fatalf("in chunks of %d:\n%q\nwhole:\n%q", chunk, got, whole)
		}
		for name, frame := range map[string]func([]byte) (int, atengine.Verdict){
			"MSUB":     func(b []byte) (int, atengine.Verdict) { return frameMSUB(b, hexMode) },
			"HTTPREAD": frameHTTPRead,
		} {
			decided, size := atengine.NeedMore, 0
			for i := range min(len(wire), 1200) + 1 {
				n, v := frame(wire[:i])
				if decided != atengine.NeedMore && (v != decided || v == atengine.Match && n != size) {
					t.Fatalf("%s said %d %d and then, at %d bytes, %d %d", name, decided, size, i, v, n)
				}
				decided, size = v, n
			}
		}
	})
}
