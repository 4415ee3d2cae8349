package web

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// ErrForeign means that a request comes from the page of another site, or under
// another name than this machine's.
var ErrForeign = errors.New("the request comes from another site")

// foreign is why.
type foreign string

func (f foreign) Error() string { return string(f) }

func (f foreign) Is(target error) bool { return target == ErrForeign }

// Foreign says why a request is none of this origin's own, as far as browsers tell:
// Sec-Fetch-Site and Origin name the site that asks (Fetch Metadata, W3C; RFC 6454).
// A link from elsewhere to the page may be followed. Neither header is there where a
// name of the attacker's points to this machine (DNS rebinding), so the name under
// which it was asked counts too, see [Named]. nil: it is its own, or a program's.
func Foreign(r *http.Request) error {
	site := r.Header.Get("Sec-Fetch-Site")
	link := r.Method == http.MethodGet && r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	if site != "" && site != "same-origin" && site != "none" && !link {
		return foreign("the page of another site asks (Sec-Fetch-Site: " + known(site, "cross-site", "same-site") + ")")
	}
	for _, origin := range r.Header.Values("Origin") {
		if _, host, ok := strings.Cut(origin, "://"); !ok || !strings.EqualFold(host, r.Host) {
			return foreign("the page of another site asks: its Origin is not the Host that is asked")
		}
	}
	return nil
}

// known is a word of a closed set, as it comes from outside.
func known(word string, words ...string) string {
	for _, w := range words {
		if word == w {
			return w
		}
	}
	return "unknown"
}

// Named says whether a name under which a browser asked can only mean this machine:
// an address, localhost, or one of names. Any other name may belong to somebody who
// lets it point here, whose page would then be of this origin.
func Named(host string, names ...string) bool {
	name := strings.TrimSuffix(strings.ToLower(withoutPort(host)), ".")
	if name == "" || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	for _, n := range names {
		if n != "" && strings.EqualFold(name, n) {
			return true
		}
	}
	return false
}

func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// Browser says whether a request may come from a browser, and so from a script of
// somebody else's: by headers that a script cannot leave out.
func Browser(r *http.Request) bool {
	for _, name := range []string{"Origin", "Referer", "Accept-Language", "Sec-Fetch-Site", "Sec-Fetch-Mode"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return strings.Contains(r.UserAgent(), "Mozilla/")
}
