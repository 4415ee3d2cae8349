package atengine

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// FuzzScanner checks, for any bytes, that their tokens do not depend on the
// chunks, that every byte is accounted for, and that the next answer is seen
// once everything that was held back was given up.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		"\r\nOK\r\n",
		"AT+CSQ\r\r\n+CSQ: 29,99\r\n\r\nOK\r\n",
		message("t", "\r\nOK\r\n") + "\r\n> \r\n+CME ERROR: 3\r\n",
		"+MSUB: \"t\",20 byte,fifteen bytes..\r\nOK\r\n",
		"+MSUB: \"t\",99 byte,\r\n" + message("x", "y") + "\r\nPUBACK\r\n",
		"\x00\x00>\x00 \r  \n+HTTPREAD: 9\r\n{\"a\":\r\n1}\nOK\r\n",
		"+MSUB: \"t\",99999999999999999999 byte,a\r+HTTPREAD: -1\n\r\n",
		"^boot.rom'v\xff'!\\n+CPIN: READYRDY\r\n0123456789012345678901234567890123456789",
	} {
		f.Add([]byte(seed), uint64(1), uint16(0), true)
		f.Add([]byte(seed), uint64(2), uint16(16), false)
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64, maxLine uint16, prompt bool) {
		bound, framers := int(maxLine), testFramers()
		if seed&1 == 0 {
			framers = setOff()
		}
		whole, s := scan(bound, framers, prompt, in)
		rnd := rand.New(rand.NewPCG(seed, 7))
		for range 4 {
			chunks := randomChunks(rnd, in, 1+rnd.IntN(1+len(in)))
			got, other := scan(bound, framers, prompt, chunks...)
			if fmt.Sprint(got) != fmt.Sprint(whole) || other.Pending() != s.Pending() || other.Block() != s.Block() || other.Lies() != s.Lies() {
				t.Fatalf("of %q in %q\n got %v\nwant %v", in, chunks, got, whole)
			}
		}
		account(t, bound, framers, prompt, in)
		nextAnswerIsSeen(t, s)
	})
}

func nextAnswerIsSeen(t *testing.T, s *Scanner) {
	t.Helper()
	ignore := func(Token) {}
	for rounds := s.Pending() + 1; s.Pending() > 0; rounds-- {
		if rounds == 0 {
			t.Fatalf("%d bytes are held back for ever", s.Pending())
		}
		s.Abandon(ignore)
		s.Flush(ignore)
	}
	seen := ""
	s.ExpectPrompt(false)
	s.Trust()
	s.behind.block(0)
	s.Feed([]byte("\r\nOK\r\n"), func(tok Token) { seen += show(tok) })
	if want := `line "OK"`; seen != want && s.maxLine >= 2 {
		t.Fatalf("the next answer came out as %q", seen)
	}
}
