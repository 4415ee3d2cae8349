package web

import (
	"errors"
	"net/http/httptest"
	"testing"
)

// No site but the page's own may ask, by what browsers say of who does: a script
// elsewhere could otherwise publish through a forwarded API socket, or read what a
// gateway in the browser's network does.
func TestForeign(t *testing.T) {
	for _, c := range []struct {
		what, method, path string
		headers            map[string]string
		foreign            bool
	}{
		{"a program", "POST", "/v1/publish", nil, false},
		{"the page's own script", "GET", "/page/live", map[string]string{"Sec-Fetch-Site": "same-origin"}, false},
		{"somebody who types the address", "GET", "/", map[string]string{"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, false},
		{"a link from elsewhere", "GET", "/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, false},
		{"a frame elsewhere", "GET", "/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, true},
		{"a link to what is no page", "GET", "/v1/status", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, true},
		{"a form elsewhere", "POST", "/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, true},
		{"a script elsewhere", "GET", "/page/live", map[string]string{"Sec-Fetch-Site": "cross-site"}, true},
		{"a picture elsewhere", "GET", "/page/icon.svg", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, true},
		{"another port of this machine", "GET", "/v1/status", map[string]string{"Sec-Fetch-Site": "same-site"}, true},
		{"a word that nobody knows", "GET", "/v1/status", map[string]string{"Sec-Fetch-Site": "x"}, true},
		{"an older browser elsewhere", "POST", "/v1/publish", map[string]string{"Origin": "https://evil.example"}, true},
		{"one that hides where it is", "POST", "/v1/publish", map[string]string{"Origin": "null"}, true},
		{"an older browser on the page", "POST", "/v1/publish", map[string]string{"Origin": "http://example.com"}, false},
	} {
		r := httptest.NewRequest(c.method, "http://example.com"+c.path, nil)
		for k, v := range c.headers {
			r.Header.Set(k, v)
		}
		if err := Foreign(r); errors.Is(err, ErrForeign) != c.foreign {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// A name of somebody else's that points to this machine makes his page one of this
// origin: DNS rebinding. Only what nobody else can own is taken.
func TestNamed(t *testing.T) {
	for host, ok := range map[string]bool{
		"localhost": true, "localhost:8080": true, "LOCALHOST.": true, "app.localhost:1": true, "127.0.0.1": true, "127.0.0.1:8080": true, "[::1]:8080": true,
		"[fe80::1]": true, "192.168.1.7:8080": true, "gate.local": true, "GATE.local:80": true, "": true,
		"evil.example": false, "evil.example:8080": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false, "gate.local.evil.example": false,
		"evil": false, "0x7f.1": false, "2130706433": false, "1.2.3": false,
	} {
		if got := Named(host, "gate.local", ""); got != ok {
			t.Errorf("%q: %v", host, got)
		}
	}
}
