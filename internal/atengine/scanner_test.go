package atengine

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

func TestScannerBoundsAHeaderThatNeverEnds(t *testing.T) {
	// A framer that wants ever more is told off after a header's length; its
	// bytes are a line then, and the next line works.
	in := `+MSUB: "` + strings.Repeat("t", 3*maxHeader)
	sameHowever(t, 0, testFramers(), false, in+"\r\nOK\r\n", []string{fmt.Sprintf("line %q", in), `line "OK"`}, 0)
}

func TestScannerBelievesTheLargestBlockAndNoLarger(t *testing.T) {
	header := `+MSUB: "t",%d byte,`
	fits := maxBlock - len(fmt.Sprintf(header, maxBlock))
	body := bytes.Repeat([]byte("x\r\n>"), maxBlock/4+1)
	in := append([]byte(fmt.Sprintf(header, fits)), body[:fits]...)
	in = append(in, "\r\nOK\r\n"...)
	var got []string
	s := NewScanner(0, testFramers())
	for rest := in; len(rest) > 0; {
		n := min(readSize, len(rest))
		s.Feed(rest[:n], func(tok Token) { got = append(got, fmt.Sprintf("%d %s %d", tok.Kind, tok.Framer, len(tok.Bytes))) })
		rest = rest[n:]
	}
	want := []string{fmt.Sprintf("%d msub %d", Block, maxBlock), fmt.Sprintf("%d  2", Line)}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	// The buffer of the large block was given back with it.
	if c := cap(s.pending); c > 64<<10 {
		t.Errorf("%d bytes of buffer are kept", c)
	}
	large := fmt.Sprintf(header, fits+1)
	sameHowever(t, 0, testFramers(), false, large+"\r\nOK\r\n", []string{fmt.Sprintf("line %q", large), `line "OK"`}, 0)
}

// Framers are asked in order, and one that needs more is waited for: which one
// cuts must not depend on how much has arrived.
func TestScannerFramersThatOverlap(t *testing.T) {
	after := func(word string, n int) func([]byte) (int, Verdict) {
		return func(buf []byte) (int, Verdict) {
			if _, v := hasPrefix(buf, word); v != Match {
				return 0, v
			}
			return n, Match
		}
	}
	long, short := Framer{Name: "long", Frame: after("#abc", 6)}, Framer{Name: "short", Frame: after("#a", 3)}
	for _, c := range []struct {
		framers []Framer
		in      string
		want    []string
	}{
		{[]Framer{long, short}, "#abc12", []string{`block long "#abc12"`}},
		{[]Framer{long, short}, "#ab\r\n", []string{`block short "#ab"`}},
		{[]Framer{short, long}, "#abc12\r\n", []string{`block short "#ab"`, `line "c12"`}},
	} {
		sameHowever(t, 0, c.framers, false, c.in, c.want, 0)
	}
}

func TestScannerRefusesABlockOfNothing(t *testing.T) {
	for _, n := range []int{0, -1} {
		f := []Framer{{Name: "odd", Frame: func([]byte) (int, Verdict) { return n, Match }}}
		sameHowever(t, 0, f, false, "ab\r\n", []string{`line "ab"`}, 0)
	}
}

func TestP06OverlongLineIsCountedAndForgotten(t *testing.T) {
	const size = 1 << 20
	chunk := bytes.Repeat([]byte("+MSUB "), readSize/6)
	var got []string
	emit := func(tok Token) { got = append(got, fmt.Sprintf("%d %d %d", tok.Kind, len(tok.Bytes), tok.Size)) }
	s := NewScanner(0, testFramers())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	sent := 0
	for sent < size {
		n := min(len(chunk), size-sent)
		s.Feed(chunk[:n], emit)
		sent += n
		if s.Pending() > MaxLine {
			t.Fatalf("%d bytes are held back", s.Pending())
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8*MaxLine {
		t.Errorf("%d bytes were allocated for a line that is not kept", grown)
	}
	if len(got) != 0 || s.Partial() != nil {
		t.Fatalf("tokens before the line's end: %v, partial of %d bytes", got, len(s.Partial()))
	}
	s.Feed([]byte("\r\nOK\r\n"), emit)
	want := []string{fmt.Sprintf("%d %d %d", Overlong, MaxLine, size), fmt.Sprintf("%d 2 0", Line)}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestP06OverlongLineAnyChunking(t *testing.T) {
	for _, size := range []int{63, 64, 65, 66, 127, 128, 129, 500} {
		text := strings.Repeat("0123456789", 50)[:size]
		want := []string{fmt.Sprintf("line %q", text), `line "OK"`}
		if size > 64 {
			want[0] = fmt.Sprintf("overlong %d %q", size, text[:64])
		}
		sameHowever(t, 64, testFramers(), false, text+"\r\nOK\r\n", want, 0)
	}
}

// A length that lies costs one message: its bytes are scanned again as lines, and
// what hides in them is no evidence, no message and no prompt. It may be payload.
func TestP04AbandonedBlockIsScannedAgain(t *testing.T) {
	for _, c := range []struct {
		name, in string
		prompt   bool
		want     []string
		held     int // after Abandon
	}{
		{"the answer was swallowed", "+MSUB: \"t\",30 byte,fifteen bytes..\r\nOK\r\n", false, []string{`cut line "+MSUB: \"t\",30 byte,fifteen bytes.."`, `cut line "OK"`}, 0},
		{"a message was swallowed", "+MSUB: \"t\",90 byte,a\r\n+MSUB: \"t\",2 byte,\r\n\r\nOK\r\n", false, []string{`cut line "+MSUB: \"t\",90 byte,a"`, `cut line "+MSUB: \"t\",2 byte,"`, `cut line "OK"`}, 0},
		{"a lie was swallowed", "+MSUB: \"t\",90 byte,a\r\n+MSUB: \"t\",90 byte,b\r\nOK\r\n", false, []string{`cut line "+MSUB: \"t\",90 byte,a"`, `cut line "+MSUB: \"t\",90 byte,b"`, `cut line "OK"`}, 0},
		{"a prompt was swallowed", "+MSUB: \"t\",20 byte,a\r\n> ", true, []string{`cut line "+MSUB: \"t\",20 byte,a"`}, 2},
		{"a line was cut", "+MSUB: \"t\",20 byte,a\r\nPUBA", false, []string{`cut line "+MSUB: \"t\",20 byte,a"`}, 4},
		{"nothing but the header", "+MSUB: \"t\",20 byte,", false, nil, 19},
		{"blanks", "+MSUB: \"t\",20 byte,\r\n\r\n\x00\x00  ", false, []string{`cut line "+MSUB: \"t\",20 byte,"`}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			chunkings([]byte(c.in), func(how string, chunks [][]byte) {
				none, s := scan(0, testFramers(), c.prompt, chunks...)
				if len(none) > 0 || s.Pending() != len(c.in) || s.Block() != 1 || s.Missing() <= 0 {
					t.Fatalf("%s: before: %v, %d held back, block %d lacks %d", how, none, s.Pending(), s.Block(), s.Missing())
				}
				var got []string
				s.Abandon(func(tok Token) { got = append(got, show(tok)) })
				if fmt.Sprint(got) != fmt.Sprint(c.want) || s.Pending() != c.held {
					t.Fatalf("%s: got %v and %d held back, want %v and %d", how, got, s.Pending(), c.want, c.held)
				}
			})
			account(t, 0, testFramers(), c.prompt, []byte(c.in))
		})
	}
}

// When bytes were lost, the block fills with the beginning of what comes next.
// If that cuts an answer in two, the length is known to lie at once.
func TestP04BlockThatCutsAnAnswerInTwoLies(t *testing.T) {
	for _, answer := range []string{"OK", "ERROR", "+CME ERROR: 767", "+CMS ERROR: 42", "+CME ERROR: SIM not inserted"} {
		stream := "+MSUB: \"t\",20 byte,%s\r\n" + answer + "\r\n+CSQ: 1,2\r\n"
		for k := 3; k < len("\r\n"+answer+"\r\n"); k++ { // k bytes of the answer are swallowed
			if k == len("\r\n"+answer) {
				continue // a payload may end with a word: that one is believed, see below
			}
			if k > 20 {
				break
			}
			payload := strings.Repeat("x", 20-k)
			in := fmt.Sprintf(stream, payload)
			sameHowever(t, 0, testFramers(), false, in, []string{
				fmt.Sprintf("cut line %q", `+MSUB: "t",20 byte,`+payload), fmt.Sprintf("cut line %q", answer), `cut line "+CSQ: 1,2"`,
			}, 0)
			account(t, 0, testFramers(), false, []byte(in))
		}
	}
}

// What must be believed, however much it looks like an answer.
func TestP02BlockThatEndsLikeAnAnswerIsBelieved(t *testing.T) {
	for _, payload := range []string{
		"\r\nOK", "\r\nOK\r", "\r\nOK\r\n", "\nO", "\r\nERR", "\r\nERROR", "\r\n+CME ERROR:", "\r\n+CME ERROR: 3",
		"\r\n+CME ERROR: 3\r", "\r\n+", "\r", "\r\n", "x\r", "\nno answer\r", "OK", "OK\r", "\r\n+CME ERROR: " + strings.Repeat("9", 100),
	} {
		block := message("t", payload)
		sameHowever(t, 0, testFramers(), false, block+"\r\nPUBACK\r\n", []string{fmt.Sprintf("block msub %q", block), `line "PUBACK"`}, 0)
		// Without anything behind it, it is handed out when the wait is over.
		got, s := scan(0, testFramers(), false, []byte(block))
		s.Abandon(func(tok Token) { got = append(got, show(tok)) })
		if want := fmt.Sprintf("block msub %q", block); fmt.Sprint(got) != fmt.Sprint([]string{want}) || s.Pending() != 0 || s.Lies() != 0 {
			t.Errorf("alone: got %v, %d held back, %d lies, want %v", got, s.Pending(), s.Lies(), want)
		}
	}
	// A line that goes on behind it is glued to it, but is no answer.
	block := message("t", "\r\nO")
	sameHowever(t, 0, testFramers(), false, block+"H NO\r\n", []string{fmt.Sprintf("block msub %q", block), `line "H NO"`}, 0)
}

// A line that began while lines were not trusted is not trusted when it ends.
func TestScannerTrustsFromTheNextLineOn(t *testing.T) {
	var got []string
	emit := func(tok Token) { got = append(got, show(tok)) }
	s := NewScanner(0, testFramers())
	s.Feed([]byte("+MSUB: \"t\",90 byte,\x00x\r\nOK\r\nPU"), emit)
	s.Abandon(emit)
	s.Abandon(emit) // no block: nothing to give up
	if owed := s.Owed(); owed != 90-len("\x00x\r\nOK\r\nPU") {
		t.Errorf("%d bytes are owed", owed)
	}
	s.Trust()
	s.Feed([]byte("BACK\r\nPUBACK\r\n"+message("t", "x")+"\r\n"), emit)
	s.Distrust()
	s.Feed([]byte("CLOSED\r\n"+message("t", "x")+"\r\n"), emit)
	block := message("t", "x")
	want := []string{
		`cut line "+MSUB: \"t\",90 byte,\x00x"`, `cut line "OK"`, `cut line "PUBACK"`, `line "PUBACK"`, fmt.Sprintf("block msub %q", block),
		`cut line "CLOSED"`, fmt.Sprintf("cut line %q", block),
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// setOff are the test framers as the Air dialect has them: a message is followed by
// its own line end and that of the next line, the body of HTTPREAD by one.
func setOff() []Framer {
	framers := testFramers()
	framers[0].Ends, framers[1].Ends = 2, 1
	return framers
}

// A count that is too small leaves the rest of the payload standing where lines do.
// It is glued to the block, or only a line end away from it, and no line of a module
// is.
func TestScannerWhatIsNotSetOffFromABlockIsNoEvidence(t *testing.T) {
	block := message("t", "hello")
	shown, http := fmt.Sprintf("block msub %q", block), "+HTTPREAD: 2\r\n{}"
	for _, c := range []struct {
		in   string
		want []string
	}{
		{block + "\r\n\r\nPUBACK\r\n", []string{shown, `line "PUBACK"`}},
		{block + "\n\nPUBACK\n", []string{shown, `line "PUBACK"`}},
		{block + "\r\rPUBACK\r", []string{shown, `line "PUBACK"`}},
		{block + "\r\r\n\r\r\nPUBACK\r\r\n", []string{shown, `line "PUBACK"`}},
		{block + "\r\n\r\n" + block + "\r\n\r\nOK\r\n", []string{shown, shown, `line "OK"`}},
		{block + "\r\n\x00\r\nRDY\r\n", []string{shown, `line "RDY"`}},

		{block + "\r\nPUBACK\r\n\r\nOK\r\n", []string{shown, `cut line "PUBACK"`, `cut line "OK"`}},
		{block + "\r\nx\r\n\r\nPUBACK\r\n", []string{shown, `cut line "x"`, `cut line "PUBACK"`}},
		{block + "\r\r\nPUBACK\r\n", []string{shown, `cut line "PUBACK"`}},
		{block + "\rPUBACK\r", []string{shown, `cut line "PUBACK"`}},
		{block + "\r\n> \r\nPUBACK\r\n", []string{shown, `cut line "> "`, `cut line "PUBACK"`}},
		{block + "\r\n" + block + "\r\n\r\nPUBACK\r\n", []string{shown, fmt.Sprintf("cut line %q", block), `cut line "PUBACK"`}},
		{block + " there\r\n\r\nPUBACK\r\n", []string{fmt.Sprintf("cut line %q", block+" there"), `cut line "PUBACK"`}},
		{block + block + "\r\n\r\nPUBACK\r\n", []string{fmt.Sprintf("cut line %q", block+block), `cut line "PUBACK"`}},

		{http + "\r\nOK\r\n", []string{fmt.Sprintf("block httpread %q", http), `line "OK"`}},
		{http + "OK\r\nOK\r\n", []string{`cut line "+HTTPREAD: 2"`, `cut line "{}OK"`, `cut line "OK"`}},
	} {
		sameHowever(t, 0, setOff(), true, c.in, c.want, 0)
		account(t, 0, setOff(), true, []byte(c.in))
	}
}

// An echo is not set off, nor is a bare prompt. The one is known by what it says, the
// other by the silence behind it: the module waits for data.
func TestScannerWhatMayFollowABlockDirectly(t *testing.T) {
	block := message("t", "hello")
	for _, c := range []struct {
		in, then string
		want     []string
	}{
		{block + "\r\nAT+CSQ\r\r\nOK\r\n", "", []string{`line "AT+CSQ"`, `line "OK"`}},
		{block + "\r\nAT+CSR\r\r\nOK\r\n", "", []string{`cut line "AT+CSR"`, `cut line "OK"`}},
		{block + "\r\n>", "\r\nOK\r\n", []string{`prompt ">"`, `line "OK"`}},
		{block + "\r\n> ", "\r\nOK\r\n", []string{`prompt ">"`, `line "OK"`}},
		{block + "\r\n>x", "\r\nOK\r\n", []string{`cut line ">x"`, `cut line "OK"`}},
	} {
		chunkings([]byte(c.in), func(how string, chunks [][]byte) {
			var got []string
			emit := func(tok Token) { got = append(got, show(tok)) }
			s := NewScanner(0, setOff())
			s.ExpectPrompt(true)
			s.ExpectEcho("AT+CSQ")
			for _, chunk := range chunks {
				s.Feed(chunk, emit)
			}
			s.Flush(emit)
			s.Feed([]byte(c.then), emit)
			if want := append([]string{fmt.Sprintf("block msub %q", block)}, c.want...); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %q is %v, want %v", how, c.in, got, want)
			}
		})
	}
}

// A module that never sets anything off from a message is believed after a while:
// each time costs an MQTT session.
func TestScannerLearnsThatAModuleSetsNothingOff(t *testing.T) {
	cut := func(s *Scanner, ends string) (cut bool) {
		s.Feed([]byte(message("t", "x")+ends+"PUBACK\r\n"), func(tok Token) { cut = cut || tok.Cut })
		s.Trust()
		return cut
	}
	s := NewScanner(0, setOff())
	for i := range tightMost {
		if !cut(s, "\r\n") {
			t.Fatalf("believed the %d. time", i+1)
		}
	}
	if cut(s, "\r\n") {
		t.Error("never believed")
	}
	if cut(s, "\r\n\r\n") || !cut(s, "\r\n") {
		t.Error("one that does it is believed all the same when it does not")
	}
}

func TestScannerAbandonedOverlongBlock(t *testing.T) {
	text := "+MSUB: \"t\",500 byte," + strings.Repeat("x", 100)
	var got []string
	emit := func(tok Token) { got = append(got, show(tok)) }
	s := NewScanner(64, testFramers())
	s.Feed([]byte(text), emit)
	s.Abandon(emit)
	s.Feed([]byte("yz\r\nOK\r\n"), emit)
	want := []string{fmt.Sprintf("cut overlong %d %q", len(text)+2, text[:64]), `cut line "OK"`}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestScannerFlush(t *testing.T) {
	for _, c := range []struct {
		name, in string
		maxLine  int
		want     []string
		then     string // goes on with
		rest     []string
	}{
		{"a word without its line end", "\r\nCONNECT OK", 0, []string{`line "CONNECT OK"`}, "\r\nOK\r\n", []string{`line "OK"`}},
		{"nothing", "OK\r\n", 0, []string{`line "OK"`}, "RDY\r\n", []string{`line "RDY"`}},
		{"blanks", "   ", 0, nil, "OK\r\n", []string{`line "OK"`}},
		{"the beginning of a header", "+MSU", 0, []string{`line "+MSU"`}, "+MSUB: \"t\",1 byte,x", []string{`block msub "+MSUB: \"t\",1 byte,x"`}},
		{"a header whose line feed is missing", "+HTTPREAD: 3\r", 0, []string{`line "+HTTPREAD: 3"`}, "\nabc\r\n", []string{`line "abc"`}},
		{"an over-long line", "0123456789abc", 8, []string{`overlong 13 "01234567"`}, "d\r\n", []string{`line "d"`}},
		{"a block stays", "+MSUB: \"t\",3 byte,x", 0, nil, "\r\n", []string{`block msub "+MSUB: \"t\",3 byte,x\r\n"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			emit := func(tok Token) { got = append(got, show(tok)) }
			s := NewScanner(c.maxLine, testFramers())
			s.Feed([]byte(c.in), emit)
			s.Flush(emit)
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			got = nil
			s.Feed([]byte(c.then), emit)
			if fmt.Sprint(got) != fmt.Sprint(c.rest) || s.Pending() != 0 {
				t.Errorf("then got %v and %d held back, want %v", got, s.Pending(), c.rest)
			}
		})
	}
}

func TestScannerPromptIsToldBetweenChunks(t *testing.T) {
	var got []string
	emit := func(tok Token) { got = append(got, show(tok)) }
	s := NewScanner(0, nil)
	s.Feed([]byte(">\r\n"), emit)
	s.ExpectPrompt(true)
	s.ExpectPrompt(false)
	s.Feed([]byte(">\r\n"), emit)
	s.ExpectPrompt(true)
	s.Feed([]byte("\r\nOK\r\n"), emit)
	s.Feed([]byte(">"), emit)
	s.Feed([]byte(" "), emit)
	s.Feed([]byte(" >\r\n>\r\n"), emit)
	want := []string{`line ">"`, `line ">"`, `line "OK"`, `prompt ">"`, `line " >"`, `line ">"`}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestScannerTellsWhatItHolds(t *testing.T) {
	s := NewScanner(8, testFramers())
	none := func(tok Token) { t.Errorf("unexpected %s", show(tok)) }
	s.Feed([]byte("\r\nCONN"), none)
	if string(s.Partial()) != "CONN" || s.Pending() != 4 || s.Block() != 0 || s.Missing() != 0 {
		t.Errorf("of a word: %q, %d, %d, %d", s.Partial(), s.Pending(), s.Block(), s.Missing())
	}
	s.Feed([]byte("ECT OKAY"), none)
	if s.Partial() != nil || s.Pending() != 8 {
		t.Errorf("of an over-long line: %q, %d", s.Partial(), s.Pending())
	}
	s.Flush(func(Token) {})
	s.Feed([]byte("+MSUB: \"t\",5 byte,abc"), none)
	if s.Partial() != nil || s.Pending() != 21 || s.Block() != 1 || s.Missing() != 2 {
		t.Errorf("of a block: %q, %d, %d, %d", s.Partial(), s.Pending(), s.Block(), s.Missing())
	}
}
