package web

import (
	"embed"
	"net/http"
	"strconv"
)

//go:embed static
var static embed.FS

// files are all that there is, by the path after /page/; "" is the page itself.
var files = map[string]struct{ name, kind string }{
	"":         {"index.html", "text/html; charset=utf-8"},
	"page.css": {"page.css", "text/css; charset=utf-8"},
	"page.js":  {"page.js", "text/javascript; charset=utf-8"},
	"icon.svg": {"icon.svg", "image/svg+xml"},
}

// policy lets the page have its own files and nothing else: no script, style or
// picture from elsewhere or in the text, no frame around it, no form, no other base,
// and no way for a script to make markup of a text.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Close puts in what keeps other sites out of an answer: they may not read it, embed
// it, or hold a handle on its window.
func Close(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
}

// File answers with a file of the page, "" for the page itself, and says whether
// there is one of that name. It writes nothing if not.
func File(w http.ResponseWriter, name string) bool {
	f, ok := files[name]
	if !ok {
		return false
	}
	text, err := static.ReadFile("static/" + f.name)
	if err != nil {
		return false // cannot be: it is in the program
	}
	Close(w.Header())
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text)
	return true
}
