package air

import "testing"

// A piece of a payload that began like a URC, with a NUL in it, was taken for one, and
// the forged message behind it went to a program. Noise before a line is no such piece.
func TestNoURCHasControlCharacters(t *testing.T) {
	for line, want := range map[string]bool{
		"+PDP: DEACT\x00+CEREG: 0,1": true, "CLOSED\t": true,
		"+PDP: DEACT": false, "\x00\x00+CPIN: READY": false,
	} {
		if got := controlled([]byte(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
