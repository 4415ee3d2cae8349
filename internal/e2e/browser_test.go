package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// browserVariable names a directory with node_modules of playwright-core; make web sets
// it. Without it the tests that need a Chromium, which CI does not install, are left out.
const browserVariable = "WEB_BROWSER"

// browser is a headless Chromium.
type browser struct {
	t     testing.TB
	in    io.Writer
	lines *bufio.Scanner
}

// newBrowser starts one until the test ends, or skips it.
func newBrowser(t testing.TB) *browser {
	t.Helper()
	dir := os.Getenv(browserVariable)
	if dir == "" {
		t.Skip("make web runs it")
	}
	script, err := filepath.Abs("testdata/browser.js")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", script)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, in: in, lines: bufio.NewScanner(out)}
	b.lines.Buffer(nil, 16<<20)
	t.Cleanup(func() {
		_ = in.Close() // it ends by itself then
		if err := cmd.Wait(); err != nil {
			t.Errorf("the browser: %v", err)
		}
	})
	var version string
	b.answer(&version)
	t.Logf("Chromium %s", version)
	return b
}

// request is what browser.js takes.
type request struct {
	Do     string `json:"do"`
	Page   string `json:"page"`
	URL    string `json:"url,omitempty"`
	JS     string `json:"js,omitempty"` // an expression, a selector, a key or a path
	Text   string `json:"text,omitempty"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
	Dark   bool   `json:"dark,omitempty"`
}

func (b *browser) do(r request, v any) {
	b.t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.in.Write(append(text, '\n')); err != nil {
		b.t.Fatal(err)
	}
	b.answer(v)
}

func (b *browser) answer(v any) {
	b.t.Helper()
	if !b.lines.Scan() {
		b.t.Fatalf("the browser has ended: %v", b.lines.Err())
	}
	var answer struct {
		Error string          `json:"error"`
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(b.lines.Bytes(), &answer); err != nil {
		b.t.Fatalf("%v in %s", err, b.lines.Text())
	}
	if answer.Error != "" {
		b.t.Fatalf("the browser: %s", answer.Error)
	}
	if v != nil && answer.Value != nil {
		if err := json.Unmarshal(answer.Value, v); err != nil {
			b.t.Fatalf("%v in %s", err, answer.Value)
		}
	}
}

// tab is one page in the browser.
type tab struct {
	*browser
	name string
}

func (b *browser) open(name, url string, width int, dark bool) tab {
	b.t.Helper()
	b.do(request{Do: "open", Page: name, URL: url, Width: width, Height: 900, Dark: dark}, nil)
	return tab{b, name}
}

// eval is the value of an expression in the page.
func (p tab) eval(js string, v any) {
	p.t.Helper()
	p.do(request{Do: "eval", Page: p.name, JS: js}, v)
}

func (p tab) click(selector string) {
	p.t.Helper()
	p.do(request{Do: "click", Page: p.name, JS: selector}, nil)
}

// text is what stands in a place of the page.
func (p tab) text(id string) (s string) {
	p.t.Helper()
	p.eval(fmt.Sprintf("document.getElementById(%q).textContent", id), &s)
	return s
}

// until waits for an expression to be true.
func (p tab) until(what, js string) {
	p.t.Helper()
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		var is bool
		if p.eval("!!("+js+")", &is); is {
			return
		}
		if time.Since(begun) > patience {
			var all string
			p.eval("document.body.innerText", &all)
			p.t.Fatalf("%s: %s stays false; the page:\n%s", what, js, all)
		}
	}
}

// misdeeds are what pages did that they must not, but for what is said in the console
// where a daemon has gone.
func (b *browser) seen() (requests, console, violations []string) {
	b.t.Helper()
	var all struct{ Requests, Console, Violations []string }
	b.do(request{Do: "seen"}, &all)
	return all.Requests, all.Console, all.Violations
}
