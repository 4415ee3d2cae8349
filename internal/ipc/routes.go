package ipc

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/access"
)

// otherRoute stands for every request that no route was found for.
const otherRoute = "other"

// handler answers one request, or returns the problem to answer with. It must
// not have begun its answer when it returns an error. q has only what its route
// takes.
type handler func(s *serving, w http.ResponseWriter, r *http.Request, q query) error

// who may ask.
type who uint8

const (
	everybody who = iota // who may open the socket
	trusted              // root and the daemon's own user
	root
)

// String is how docs/api.md puts it.
func (w who) String() string { return [...]string{"", "root and the daemon's user", "root"}[w] }

// route is one row of what the socket answers.
type route struct {
	method, path string // of http.ServeMux
	who          who
	may          func(access.Rights) error // whom the access rules let ask; nil: nobody whom they bind
	params       []string                  // what its query may have
	loose        bool                      // takes any query, as those who ask like to add their own
	turn         bool                      // is made when it is its user's turn, see [fair.Turns]: it costs processor time and waits for nothing
	does         string                    // in a few words
	handle       handler
}

// table is all that the socket answers. The mux, the hint of a 404, the label of
// the metric and the table of docs/api.md are made of it.
func table() []route {
	get, post, del := http.MethodGet, http.MethodPost, http.MethodDelete
	return []route{
		{method: post, path: "/v1/publish", may: access.Rights.Any, params: publishParams, does: "hands over a message", handle: (*serving).publish},
		{method: get, path: "/v1/messages/{id}", may: access.Rights.Any, turn: true, does: "what became of one", handle: (*serving).message},
		{method: get, path: "/v1/outbox", may: access.Rights.Any, params: []string{"limit", "after"}, does: "the messages that wait", handle: (*serving).listOutbox},
		{method: del, path: "/v1/outbox", may: access.Rights.Any, params: []string{"topic", "foreign"}, does: "gives up those of a topic, or of another device", handle: (*serving).dropMany},
		{method: post, path: "/v1/outbox/retarget", who: root, does: "has those of another device sent as this one's", handle: (*serving).retarget},
		{method: del, path: "/v1/outbox/{id}", may: access.Rights.Any, does: "gives up one of them", handle: (*serving).dropMessage},
		{method: get, path: "/v1/subscribe", may: access.Rights.Any, params: []string{"topic", "name"}, does: "a stream of messages from the cloud", handle: (*serving).subscribe},
		{method: get, path: "/v1/subscriptions", may: access.Rights.Any, turn: true, does: "what messages are kept for", handle: (*serving).listSubscriptions},
		{method: post, path: "/v1/subscriptions/{name}/ack", may: access.Rights.Any, does: "acknowledges what was kept under a name", handle: (*serving).acknowledge},
		{method: del, path: "/v1/subscriptions/{name}", may: access.Rights.Any, params: []string{"kind"}, does: "drops a subscription, with what is kept for it", handle: (*serving).dropSubscription},
		{method: post, path: "/v1/rrpc/{id}", may: access.Rights.Any, does: "answers a request of the cloud that waits", handle: (*serving).answerCall},
		{method: get, path: "/v1/status", may: seeing(access.Status), turn: true, does: "how daemon, module and queue are", handle: (*serving).status},
		{method: get, path: "/v1/events", may: seeing(access.Events), does: "a stream of state changes and warnings", handle: (*serving).events},
		{method: get, path: "/v1/trace", may: seeing(access.Trace), params: []string{"follow"}, does: "the last AT traffic with the module", handle: (*serving).trace},
		{method: post, path: "/v1/at", who: trusted, does: "one AT command", handle: (*serving).at},
		{method: post, path: "/v1/reprovision", params: []string{"yes"}, who: root, does: "registers the device once more", handle: (*serving).reprovision},
		{method: post, path: "/v1/reconnect", does: "makes the next attempt now", handle: (*serving).reconnect},
		{method: post, path: "/v1/reload", who: trusted, does: "reads the configuration again", handle: (*serving).reload},
		{method: get, path: "/v1/config", turn: true, does: "the configuration in effect, and where it stands", handle: (*serving).config},
		{method: get, path: "/", may: access.Rights.Any, loose: true, does: "a page for people", handle: (*serving).page},
		{method: get, path: "/page/{file}", may: access.Rights.Any, loose: true, does: "what the page is made of", handle: (*serving).page},
		{method: get, path: "/page/live", may: access.Rights.Any, does: "what the page shows, as it changes", handle: (*serving).live},
		{method: get, path: "/v1/access", params: []string{"user", "client", "action", "topic"}, turn: true, may: everyone, does: "which access rule decides, and how", handle: (*serving).access},
		{method: get, path: "/healthz", may: access.Rights.Any, loose: true, does: "does the daemon make progress", handle: (*serving).healthz},
		{method: get, path: "/metrics", may: seeing(access.Status), loose: true, turn: true, does: "Prometheus text", handle: (*serving).metrics},
	}
}

// Paths are the patterns of all paths, each once: what [Recorder] is told of.
func Paths() []string {
	var list []string
	for _, r := range table() {
		if !slices.Contains(list, r.path) {
			list = append(list, r.path)
		}
	}
	return list
}

// existing is the hint of a 404.
func existing() string {
	methods := make(map[string][]string)
	for _, r := range table() {
		methods[r.path] = append(methods[r.path], r.method)
	}
	var list []string
	for _, path := range Paths() {
		list = append(list, strings.Join(methods[path], " and ")+" "+path)
	}
	last := len(list) - 1
	return "there are " + strings.Join(list[:last], ", ") + " and " + list[last]
}

func (s *serving) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, row := range table() {
		mux.HandleFunc(row.pattern(), func(w http.ResponseWriter, r *http.Request) {
			if err := row.answer(s, w, r); err != nil {
				s.refuse(w, r, err)
			}
		})
	}
	return mux
}

// pattern is that of http.ServeMux, for which "/" alone would be every path.
func (row route) pattern() string {
	if row.path == "/" {
		return row.method + " /" + onlyThis
	}
	return row.method + " " + row.path
}

const onlyThis = "{$}"

// answer asks who it is and reads the query before the handler has its turn.
func (row route) answer(s *serving, w http.ResponseWriter, r *http.Request) error {
	if err := row.who.allows(r); err != nil {
		return err
	}
	if err := row.admits(s.rights(r)); err != nil {
		return err
	}
	var q query
	if !row.loose {
		var err error
		if q, err = parseQuery(r.URL.RawQuery, row.params...); err != nil {
			return err
		}
	}
	if row.turn {
		give, err := s.takeTurn(r)
		if err != nil {
			return err
		}
		defer give()
		if a, ok := w.(*answer); ok {
			a.begins = give // who takes the answer slowly holds nobody up
		}
	}
	return row.handle(s, w, r, q)
}

// admits says why the access rules keep somebody from asking, or nil.
func (row route) admits(rights access.Rights) error {
	may := row.may
	if may == nil {
		may = access.Rights.Free
	}
	return denied(may(rights), "")
}

// takeTurn waits for the turn of a request's user, and returns how to give it back;
// that may be called again. So one user's thousand requests cost another one no more
// than one of them.
func (s *serving) takeTurn(r *http.Request) (give func(), err error) {
	ctx, cancel := context.WithTimeout(r.Context(), turnTime)
	defer cancel()
	if err := s.turns.Take(ctx, clientOf(r.Context()).user()); err != nil {
		p := tooBusy.problem(fmt.Sprintf("other requests of this user were answered for %v", turnTime), "ask less often, and try again")
		p.retryAfter = 5 * time.Second
		return nil, p
	}
	return sync.OnceFunc(s.turns.Give), nil
}

// serve is every request's way in and where it is counted.
func (s *serving) serve(w http.ResponseWriter, r *http.Request) {
	a := &answer{ResponseWriter: w, rc: http.NewResponseController(w), ctx: r.Context(), begun: time.Now(), last: func() bool { return s.stopping.Err() != nil }, done: func(code int, d time.Duration) {
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
		p := tooBusy.problem("this user has all the connections that there are for one, and others have theirs", "close connections that are not needed, and try again (socket.max_connections)")
		p.retryAfter = 5 * time.Second
		s.refuse(a, r, p)
		return
	}
	if !r.Close {
		a.Header().Set("Keep-Alive", keepAlive)
	}
	if p := foreigner(r); p != nil {
		s.refuse(a, r, p)
		return
	}
	// ServeMux would answer unclean paths with a redirect to a page.
	if p := r.URL.EscapedPath(); p == "" || path.Clean(p) != p {
		s.refuse(a, r, noSuchRoute.problem("nothing is at "+shown(r.URL.Path), existing()))
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
		return noSuchRoute.problem("nothing is at "+shown(r.URL.Path), existing())
	}
	list := strings.Join(allowed, ", ")
	p := methodNotHere.problem(shown(r.Method)+" does not work on "+shown(r.URL.Path), "use "+list+"; "+existing())
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
	return strings.TrimSuffix(r.Pattern, onlyThis)
}

// answer watches for the answer's first byte: it is what is counted, and from
// it on the client has a bounded time to take the answer.
type answer struct {
	http.ResponseWriter
	rc       *http.ResponseController
	ctx      context.Context // of the request
	begun    time.Time
	code     int
	begins   func()      // called before the first byte; may be nil
	last     func() bool // there is no next request on this connection
	returned bool        // the handler did not panic
	done     func(code int, d time.Duration)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) WriteHeader(code int) {
	if a.code == 0 {
		a.code = code
		if a.begins != nil {
			a.begins()
		}
		if crowdedOut(a.ctx) || a.last() {
			a.Header().Del("Keep-Alive")
			a.Header().Set("Connection", "close")
		}
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
