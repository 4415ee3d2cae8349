package ipc

import (
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"go.uber.org/zap"
)

// otherRoute stands for every request that no route was found for.
const otherRoute = "other"

// handler answers one request, or returns the problem to answer with. It must
// not have begun its answer when it returns an error.
type handler func(w http.ResponseWriter, r *http.Request) error

func (s *serving) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, h := range map[string]handler{
		"POST /v1/publish":       s.publish,
		"GET /v1/messages/{id}":  s.message,
		"GET /v1/outbox":         s.listOutbox,
		"DELETE /v1/outbox":      s.dropTopic,
		"DELETE /v1/outbox/{id}": s.dropMessage,
		"GET /v1/subscribe":      s.subscribe,
		"GET /v1/status":         s.status,
		"GET /v1/events":         s.events,
		"GET /v1/trace":          s.trace,
		"POST /v1/reload":        s.reload,
		"POST /v1/at":            s.at,
		"POST /v1/reprovision":   s.reprovision,
		"GET /healthz":           s.healthz,
		"GET /metrics":           s.metrics,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := h(w, r); err != nil {
				s.refuse(w, r, err)
			}
		})
	}
	return mux
}

// existing is the hint of a 404.
const existing = "there are POST /v1/publish, GET /v1/messages/{id}, GET and DELETE /v1/outbox, DELETE /v1/outbox/{id}, " +
	"GET /v1/subscribe, GET /v1/status, GET /v1/events, GET /v1/trace, POST /v1/at, POST /v1/reprovision, POST /v1/reload, GET /healthz and GET /metrics"

// serve is every request's way in and where it is counted.
func (s *serving) serve(w http.ResponseWriter, r *http.Request) {
	a := &answer{ResponseWriter: w, rc: http.NewResponseController(w), begun: time.Now(), done: func(code int, d time.Duration) {
		if s.o.Recorder != nil {
			s.o.Recorder.Request(routeOf(r), code, d)
		}
		s.log(r, code, d)
	}}
	defer a.finish()
	s.route(a, r)
	a.returned = true
}

// route bounds the request in time and finds its handler, or the reason why
// there is none.
func (s *serving) route(a *answer, r *http.Request) {
	// A connection that cannot have deadlines is none of ours; nothing to do.
	_ = a.rc.SetReadDeadline(a.begun.Add(bodyTime))
	_ = a.rc.SetWriteDeadline(a.begun.Add(bodyTime))
	if clientOf(r.Context()).extra {
		a.Header().Set("Connection", "close")
		p := tooBusy.problem(fmt.Sprintf("%d programs are connected, and no more are served", maxConns), "close connections that are not needed, and try again")
		p.retryAfter = 5 * time.Second
		s.refuse(a, r, p)
		return
	}
	// ServeMux would answer unclean paths with a redirect to a page.
	if r.URL.Path == "" || path.Clean(r.URL.Path) != r.URL.Path {
		s.refuse(a, r, noSuchRoute.problem("nothing is at "+shown(r.URL.Path), existing))
		return
	}
	if _, pattern := s.mux.Handler(r); pattern == "" {
		s.refuse(a, r, s.noRoute(r))
		return
	}
	s.mux.ServeHTTP(a, r)
}

// noRoute is 405 where the path is known with another method, else 404.
func (s *serving) noRoute(r *http.Request) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
		other := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := s.mux.Handler(other); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return noSuchRoute.problem("nothing is at "+shown(r.URL.Path), existing)
	}
	list := strings.Join(allowed, ", ")
	p := methodNotHere.problem(shown(r.Method)+" does not work on "+shown(r.URL.Path), "use "+list+"; "+existing)
	p.allow = list
	return p
}

// log says who asked for what, at debug, without the query: topics are the
// programs' own business.
func (s *serving) log(r *http.Request, code int, d time.Duration) {
	if entry := s.o.Log.Check(zap.DebugLevel, "request"); entry != nil {
		c := clientOf(r.Context())
		fields := []zap.Field{zap.String("route", routeOf(r)), zap.Int("code", code), zap.Duration("took", d)}
		if c.known {
			fields = append(fields, zap.Uint32("uid", c.peer.UID), zap.Int32("pid", c.peer.PID))
		}
		entry.Write(fields...)
	}
}

// routeOf is the pattern that ServeMux found for a request.
func routeOf(r *http.Request) string {
	if r.Pattern == "" {
		return otherRoute
	}
	return r.Pattern
}

// answer watches for the answer's first byte: it is what is counted, and from
// it on the client has a bounded time to take the answer.
type answer struct {
	http.ResponseWriter
	rc       *http.ResponseController
	begun    time.Time
	code     int
	returned bool // the handler did not panic
	done     func(code int, d time.Duration)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) WriteHeader(code int) {
	if a.code == 0 {
		a.code = code
		_ = a.rc.SetWriteDeadline(time.Now().Add(answerTime))
		a.done(code, time.Since(a.begun))
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.code == 0 {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(p)
}

// finish counts a handler that wrote nothing: net/http answers 200 for it, and
// closes the connection if it panicked.
func (a *answer) finish() {
	switch {
	case a.code != 0:
	case a.returned:
		a.done(http.StatusOK, time.Since(a.begun))
	default:
		a.done(http.StatusInternalServerError, time.Since(a.begun))
	}
}
