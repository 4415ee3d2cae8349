package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"airbridged/internal/outbox"
)

// Programs read the log: every line of the daemon above the debug level, every
// code of a warning and every field stand in docs/logs.md.
func TestEveryLogLineIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, dir := range []string{
		".", "../../internal/air", "../../internal/atengine", "../../internal/ipc", "../../internal/downlink", "../../internal/host", "../../internal/mqttd", "../../internal/outbox",
		"../../internal/provision", "../../internal/session", "../../internal/tty",
	} {
		for _, w := range logged(t, dir) {
			found++
			if !strings.Contains(string(page), "`"+w.text+"`") {
				t.Errorf("%s: the %s %q is not in docs/logs.md", w.at, w.what, w.text)
			}
		}
	}
	for _, code := range []string{outbox.NoteDamage, outbox.NoteDiskFailing, outbox.NoteDiskRecovered, outbox.NoteUnreadable, outbox.NoteMoved, outbox.NoteDropped} {
		if !strings.Contains(string(page), "`"+code+"`") {
			t.Errorf("the code %q of the outbox is not in docs/logs.md", code)
		}
	}
	if found < 50 {
		t.Errorf("only %d messages, codes and fields were found in the source: is the search broken?", found)
	}
}

// written is something that a log line shows.
type written struct{ at, what, text string }

// logged finds what the Go files of one directory write to the log.
func logged(t *testing.T, dir string) []written {
	t.Helper()
	set := token.NewFileSet()
	var list []written
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			at := set.Position(call.Pos()).String()
			switch method, receiver := called(call); {
			case method == "warn":
				list = append(list, written{at, "code", literal(call.Args[0])})
			case slices.Contains([]string{"Info", "Warn", "Error"}, method) && strings.EqualFold(receiver, "log"):
				list = append(list, written{at, "message", literal(call.Args[0])})
			case method == "Log" && len(call.Args) > 1 && strings.EqualFold(receiver, "log"):
				list = append(list, written{at, "message", literal(call.Args[1])})
			case receiver == "zap" && method != "Error" && method != "NewAtomicLevelAt" && method != "New":
				list = append(list, written{at, "field", literal(call.Args[0])})
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list, func(w written) bool { return w.text == "" })
}

// called returns the name of the method, and the last name of what it is called on.
func called(call *ast.CallExpr) (method, receiver string) {
	s, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	switch x := s.X.(type) {
	case *ast.Ident:
		receiver = x.Name
	case *ast.SelectorExpr:
		receiver = x.Sel.Name
	}
	return s.Sel.Name, receiver
}

// literal is the text of a string constant, or of the constant that a text begins
// with; "" for everything else.
func literal(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(x.Value); err == nil {
			return strings.TrimSpace(text)
		}
	case *ast.BinaryExpr:
		return literal(x.X)
	}
	return ""
}
