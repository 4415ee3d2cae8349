package web

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed static
var static embed.FS

// own are the files of the daemon's page.
var own = Files{static, "static"}

// kinds are those of files that a page is made of.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// policy lets a page have its own files and nothing else: no script, style or
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

// Files are those of a page, in a directory of a program. index.html is the page.
type Files struct {
	From fs.FS
	Dir  string
}

// Serve answers with a file, "" for the page itself, and says whether there is one of
// that name. It writes nothing if not.
func (f Files) Serve(w http.ResponseWriter, name string) bool {
	if name == "" {
		name = "index.html"
	}
	kind, known := kinds[path.Ext(name)]
	if !known || strings.ContainsAny(name, `/\`) {
		return false
	}
	text, err := fs.ReadFile(f.From, path.Join(f.Dir, name))
	if err != nil {
		return false
	}
	Close(w.Header())
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text)
	return true
}

// File answers with a file of the daemon's page, as [Files.Serve] does.
func File(w http.ResponseWriter, name string) bool { return own.Serve(w, name) }
