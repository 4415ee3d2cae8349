package air

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"

	"airbridged/internal/atengine"
)

// urcVectors reads testdata/urcs.txt as pairs of kind and line.
func urcVectors(t testing.TB) [][2]string {
	f, err := os.Open("testdata/urcs.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var vectors [][2]string
	for s := bufio.NewScanner(f); s.Scan(); {
		if kind, line, ok := strings.Cut(s.Text(), "\t"); ok {
			vectors = append(vectors, [2]string{kind, line})
		}
	}
	if len(vectors) < 80 {
		t.Fatalf("only %d vectors were read", len(vectors))
	}
	return vectors
}

func TestClassify(t *testing.T) {
	for _, v := range urcVectors(t) {
		if got := Classify([]byte(v[1])); string(got) != v[0] {
			t.Errorf("%q is %s, want %s", v[1], got, v[0])
		}
	}
}

// The kinds are a metric's label: every one that can come out must be in the
// list, once.
func TestEventKindsIsTheWholeSet(t *testing.T) {
	kinds := EventKinds()
	for _, v := range urcVectors(t) {
		if !slices.Contains(kinds, EventKind(v[0])) {
			t.Errorf("%s is not listed", v[0])
		}
	}
	seen := map[EventKind]bool{}
	for _, k := range kinds {
		if seen[k] {
			t.Errorf("%s is listed twice", k)
		}
		seen[k] = true
	}
}

// RDY inside a line is somebody's text; only the word alone, or right behind the
// banner whose line end is printed as backslash and n, is a restart.
func TestIsReboot(t *testing.T) {
	for line, want := range map[string]bool{
		"RDY": true, `!\nRDY`: true, `^boot.rom'v'!\n`: true, "garbage^boot.rom": true, "NORMAL POWER DOWN": true, "UART Boot Completed": true,
		"+X: RDY": false, "RDY ": false, "READY": false, "boot.rom": false, "\nRDY": false, "": false,
	} {
		if got := IsReboot([]byte(line)); got != want {
			t.Errorf("IsReboot(%q) = %v", line, got)
		}
	}
}

// P16: what nobody knows is counted and kept out of the log that waits are made
// on, so that it can neither jam nor push anything out.
func TestP16UnknownLinesAreCountedAndNotKept(t *testing.T) {
	for _, line := range []string{"SRING: 1", "+FOO: 1,2", "\x80\xfe\xff", "{\"code\":200}"} {
		if k := Classify([]byte(line)); k != Unknown || k.kept() {
			t.Errorf("%q is %s, kept %v", line, k, k.kept())
		}
	}
	for _, k := range []EventKind{Downlink, DownlinkBad, Overlong, Ignored, StrayReply, StrayBlock, StrayPrompt, Echo, NetworkTime} {
		if k.kept() {
			t.Errorf("%s is kept", k)
		}
	}
}

func TestClassifyToken(t *testing.T) {
	for _, c := range []struct {
		token atengine.Token
		want  EventKind
	}{
		{atengine.Token{Kind: atengine.Line, Bytes: []byte("PUBACK")}, PubAck},
		{atengine.Token{Kind: atengine.Block, Framer: msubFramer, Bytes: []byte("PUBACK")}, Downlink},
		{atengine.Token{Kind: atengine.Block, Framer: httpReadFramer}, StrayBlock},
		{atengine.Token{Kind: atengine.Prompt, Bytes: []byte(">")}, StrayPrompt},
		{atengine.Token{Kind: atengine.Overlong, Bytes: []byte("PUBACK")}, Overlong},
		{atengine.Token{Kind: atengine.Overlong, Bytes: []byte("xx^boot.rom'v'!")}, Rebooted},
		{atengine.Token{}, Unknown},
	} {
		if got := classifyToken(c.token); got != c.want {
			t.Errorf("%+v is %s, want %s", c.token, got, c.want)
		}
	}
}
