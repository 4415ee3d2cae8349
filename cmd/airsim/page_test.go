package main

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// address waits until the page of a program is said to be somewhere.
func (p *program) address() string {
	p.t.Helper()
	for begun := time.Now(); time.Since(begun) < 20*time.Second; time.Sleep(5 * time.Millisecond) {
		if m := regexp.MustCompile(`page at (http://\S+)/\n`).FindStringSubmatch(p.stderr.String()); m != nil {
			return m[1]
		}
	}
	p.t.Fatalf("no page: %s", p.stderr)
	return ""
}

func call(t *testing.T, method, url, body string, headers map[string]string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	r.Host = headers["Host"]
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Body.Close(); http.DefaultClient.CloseIdleConnections() })
	return a
}

// The buttons of the page do what "airsim do" does, and the page of another site does
// nothing at all, however it tries.
func TestThePageGivesOrders(t *testing.T) {
	p := begin(t, "--web", "127.0.0.1:0")
	defer p.end()
	p.path()
	url := p.address()
	own := map[string]string{"X-Airsim": "order", "Sec-Fetch-Site": "same-origin", "Origin": url}
	for _, c := range []struct {
		what, order string
		headers     map[string]string
		want        int
	}{
		{"a button", "csq 5", own, 200},
		{"what is no order", "fly", own, 400},
		{"a very long one", strings.Repeat("x", 5000), own, 413},
		{"a form of another site", "hang", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403},
		{"a script of another site", "hang", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example", "X-Airsim": "order"}, 403},
		{"another port of this machine", "hang", map[string]string{"Sec-Fetch-Site": "same-site", "X-Airsim": "order"}, 403},
		{"an old browser's form", "hang", map[string]string{"Origin": "https://evil.example"}, 403},
		{"one that says nothing of itself", "hang", nil, 403},
		{"a name that was pointed here", "hang", map[string]string{"Host": "evil.example", "X-Airsim": "order"}, 403},
	} {
		if a := call(t, "POST", url+"/page/do", c.order, c.headers); a.StatusCode != c.want {
			t.Errorf("%s: %s, want %d", c.what, a.Status, c.want)
		}
	}
	a := call(t, "OPTIONS", url+"/page/do", "", map[string]string{"Origin": "https://evil.example", "Access-Control-Request-Headers": "x-airsim"})
	if a.StatusCode < 400 || a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another site may ask: %s %v", a.Status, a.Header)
	}
	if a := call(t, "GET", url+"/page/live", "", map[string]string{"Host": "evil.example"}); a.StatusCode != 403 {
		t.Errorf("under a name of somebody else's the line is shown: %s", a.Status)
	}
}

// What goes over the line and what the cloud takes shows on the page as it goes.
func TestThePageShowsTheLine(t *testing.T) {
	p := begin(t, "--web", "127.0.0.1:0")
	defer p.end()
	p.path()
	url := p.address()
	if a := call(t, "POST", url+"/page/do", `inject "+<b>bold</b>"`, map[string]string{"X-Airsim": "order"}); a.StatusCode != 200 {
		t.Fatal(a.Status)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/page/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	lines := bufio.NewScanner(a.Body)
	for lines.Scan() {
		// No browser takes this for markup: it is JSON that escapes it.
		if strings.Contains(lines.Text(), `\u003cb\u003ebold`) {
			return
		}
	}
	t.Errorf("the line does not show: %v", lines.Err())
}

// The two pages are of one kind, and so are their bounds: small, with nothing from
// elsewhere, and no text that becomes markup.
func TestThePageIsSmallAndItsOwn(t *testing.T) {
	all := 0
	list, err := fs.ReadDir(pageFiles, "page")
	if err != nil || len(list) != 4 {
		t.Fatal(list, err)
	}
	for _, f := range list {
		text, err := fs.ReadFile(pageFiles, "page/"+f.Name())
		if err != nil {
			t.Fatal(err)
		}
		all += len(text)
		own := strings.ReplaceAll(string(text), "http://www.w3.org/2000/svg", "")
		for _, bad := range []string{"https?://", "innerHTML", "insertAdjacentHTML", `eval\(`, `<script>`, ` on[a-z]+=`, ` style=`, "@import", `url\(`} {
			if m := regexp.MustCompile(bad).FindString(own); m != "" {
				t.Errorf("%s has %q", f.Name(), m)
			}
		}
	}
	if all > 60<<10 {
		t.Errorf("the page has %d bytes", all)
	}
}

// An order behind a button is one that there is.
func TestEveryButtonIsAnOrder(t *testing.T) {
	p := begin(t, "--web", "127.0.0.1:0")
	defer p.end()
	p.path()
	url := p.address()
	script, err := fs.ReadFile(pageFiles, "page/page.js")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(script), "const groups = [")
	table, _, _ = strings.Cut(table, "\n];")
	orders := regexp.MustCompile(`\["[^"]+", "([^"]+)"\]`).FindAllStringSubmatch(table, -1)
	if len(orders) < 20 {
		t.Fatalf("%d buttons were found", len(orders))
	}
	for _, o := range orders {
		// In a minute it is given, and forgotten before that.
		if a := call(t, "POST", url+"/page/do", "at 1h "+o[1], map[string]string{"X-Airsim": "order"}); a.StatusCode != 200 {
			t.Errorf("%s: %s", o[1], a.Status)
		}
	}
}

// Nobody is asked for a password, so nobody from elsewhere gets there.
func TestThePageIsOnLoopback(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":8080", "[::]:80", "192.168.1.1:80", "example.com:80", "8080", "unix:/tmp/x"} {
		p := begin(t, "--web", address)
		if code := <-p.code; code != exitUsage {
			t.Errorf("%s: exit code %d: %s", address, code, fmt.Sprint(p.stderr))
		}
	}
}
