package atengine

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// vector is one case of a file in testdata. The files are lists of
//
//	case NAME          begins a case
//	maxline N          the bound of a line, in bytes; left out: MaxLine
//	expect prompt      a > at a line start is a prompt
//	in "..."           bytes from the module, in Go's quoting; repeated ones are joined
//	out line "..."     tokens in order; also block NAME "...", prompt ">", overlong SIZE "..."
//	held N             bytes held back afterwards; left out: 0
//
// with comments after # at the beginning of a line.
type vector struct {
	name    string
	maxLine int
	prompt  bool
	in      string
	out     []string
	held    int
}

func TestP01TokensAreTheSameHoweverTheBytesAreChunked(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		for _, v := range readVectors(t, file) {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+v.name, func(t *testing.T) {
				sameHowever(t, v.maxLine, testFramers(), v.prompt, v.in, v.out, v.held)
				account(t, v.maxLine, testFramers(), v.prompt, []byte(v.in))
			})
		}
	}
}

func readVectors(t *testing.T, file string) (vectors []vector) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for number := 1; lines.Scan(); number++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		word, rest, _ := strings.Cut(text, " ")
		if word == "case" {
			vectors = append(vectors, vector{name: rest})
			continue
		}
		if len(vectors) == 0 {
			t.Fatalf("%s:%d: %s before the first case", file, number, word)
		}
		if err := vectors[len(vectors)-1].set(word, rest); err != nil {
			t.Fatalf("%s:%d: %v", file, number, err)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return vectors
}

func (v *vector) set(word, rest string) (err error) {
	switch word {
	case "maxline":
		v.maxLine, err = strconv.Atoi(rest)
	case "expect":
		v.prompt = rest == "prompt"
	case "held":
		v.held, err = strconv.Atoi(rest)
	case "in":
		var text string
		text, err = strconv.Unquote(rest)
		v.in += text
	case "out":
		what, quoted := rest, ""
		if i := strings.IndexByte(rest, '"'); i >= 0 {
			what, quoted = rest[:i], rest[i:]
		}
		var text string
		text, err = strconv.Unquote(quoted)
		v.out = append(v.out, fmt.Sprintf("%s%q", what, text))
	default:
		err = fmt.Errorf("unknown word %q", word)
	}
	return err
}
