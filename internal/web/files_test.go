package web

import (
	"io/fs"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A gateway's page is opened over a mobile phone's hot spot, too.
func TestThePageIsSmall(t *testing.T) {
	const most = 60 << 10
	all := 0
	for _, name := range names(t) {
		all += len(read(t, name))
	}
	if all > most {
		t.Errorf("the page has %d bytes, and %d are the most", all, most)
	}
}

// names are all files of the page, with "" for the page itself.
func names(t *testing.T) []string {
	t.Helper()
	list, err := fs.ReadDir(static, "static")
	if err != nil || len(list) < 4 {
		t.Fatal(list, err)
	}
	names := []string{""}
	for _, f := range list {
		names = append(names, f.Name())
	}
	return names
}

func read(t *testing.T, name string) string {
	t.Helper()
	w := httptest.NewRecorder()
	if !File(w, name) {
		t.Fatalf("there is no %q", name)
	}
	return w.Body.String()
}

// What keeps other sites out, and scripts in their place, is on every answer.
func TestEveryFileIsClosedToOtherSites(t *testing.T) {
	for _, name := range names(t) {
		w := httptest.NewRecorder()
		File(w, name)
		csp := w.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%q: the policy has no %s", name, part)
			}
		}
		if regexp.MustCompile(`unsafe|\*|data:|https?:`).MatchString(csp) {
			t.Errorf("%q: the policy is loose: %s", name, csp)
		}
		for header, want := range map[string]string{
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY",
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Access-Control-Allow-Origin": "",
		} {
			if got := w.Header().Get(header); got != want {
				t.Errorf("%q: %s is %q", name, header, got)
			}
		}
	}
}

// The page keeps to its policy by itself: nothing in it is fetched from elsewhere,
// there is no script or style in the text, and no text becomes markup.
func TestThePageKeepsToItsPolicy(t *testing.T) {
	html := read(t, "")
	for _, bad := range []string{`<script>`, ` on[a-z]+=`, ` style=`, `<style`, `javascript:`, `<base`, `<form`, `<iframe`} {
		if m := regexp.MustCompile(bad).FindString(html); m != "" {
			t.Errorf("the page has %q", m)
		}
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		switch name, own := strings.CutPrefix(m[1], "/page/"); {
		case strings.HasPrefix(m[1], "#"):
		case !own || !slices.Contains(names(t), name):
			t.Errorf("the page wants %s", m[1])
		}
	}
	for _, name := range names(t) {
		text := read(t, name)
		text = strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "") // a name, fetched by nobody
		if m := regexp.MustCompile(`https?://|//[a-z]+\.|@import|url\(`).FindString(text); m != "" {
			t.Errorf("%q points elsewhere: %s", name, m)
		}
	}
	script := read(t, "page.js")
	for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "DOMParser", "createContextualFragment", "srcdoc", "setTimeout(\"", "localStorage"} {
		if strings.Contains(script, bad) {
			t.Errorf("the script uses %s", bad)
		}
	}
	// Every place that the script fills is there.
	for _, m := range regexp.MustCompile(`(?:\$|put)\("([a-z-]+)"`).FindAllStringSubmatch(script, -1) {
		if !strings.Contains(html, `id="`+m[1]+`"`) {
			t.Errorf("the script fills %q, and the page has no such place", m[1])
		}
	}
}

// The states that the script knows are those that there are.
func TestTheScriptKnowsEveryState(t *testing.T) {
	data, err := os.ReadFile("../../client/api/status.go")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?m)json:\"state\"` +// ([a-z ]+)$").FindStringSubmatch(string(data))
	if m == nil {
		t.Fatal("package api does not name the states")
	}
	script := read(t, "page.js")
	for _, state := range strings.Fields(m[1]) {
		if !regexp.MustCompile(`(?m)^  ` + state + `: \["`).MatchString(script) {
			t.Errorf("the script has no words for %s", state)
		}
	}
}
