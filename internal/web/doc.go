// Package web is the page for whoever stands beside the gateway: one static page
// with its style and its script, and the one stream that it reads.
//
//	GET /               the page
//	GET /page/{file}    page.css, page.js, icon.svg
//	GET /page/live      what the page shows, as server-sent events
//
// It owns what a browser is told and asked. It promises that the page only shows:
// nothing can be ordered through it. Nothing is fetched from elsewhere, no script runs but
// its own, and the page of another site can neither read it nor show it in a frame,
// whatever name it has for this machine ([Foreign]). Payloads are never in it, nor
// secrets. What comes from outside is put into the page as text.
//
// It does no TLS: that is a proxy's business. Who may look is for whoever serves it to
// say ([Sees]); on a listener of its own a password is asked for, where there is a
// password file ([Listener]).
package web
