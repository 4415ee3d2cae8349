package ipc

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/access"
	"airbridged/internal/bus"
	"airbridged/internal/downlink"
	"airbridged/internal/fair"
	"airbridged/internal/outbox"
	"airbridged/internal/peer"
	"airbridged/internal/web"
)

// Bounds of the server. A program that needs more of anything is told so.
const (
	usualConns = 1200             // connections that are served, where the configuration does not say
	keptConns  = 16               // of them, for root and the daemon's own user alone
	spareConns = 32               // beyond them: as many are told "too busy", and as many end what they say
	sendBuffer = 16 << 10         // bytes of an answer in the kernel, which doubles it for its own use
	maxHeader  = 16 << 10         // bytes of request line and headers
	maxBody    = 64 << 10         // bytes of payload before the module's own limit is asked
	allBodies  = 16 << 20         // bytes of all bodies that are on their way
	maxWait    = time.Hour        // of publish's wait
	appendTime = 30 * time.Second // for the outbox to keep one message

	headerTime = 5 * time.Second        // for a request's headers to arrive
	bodyTime   = 30 * time.Second       // for a request to arrive whole
	answerTime = 30 * time.Second       // for an answer to be taken
	idleTime   = 60 * time.Second       // for a kept-alive connection's next request; keepAlive says it
	lineTime   = 10 * time.Second       // for one line of a stream to be taken
	beatTime   = 15 * time.Second       // between two heartbeats of a stream
	freshTime  = 100 * time.Millisecond // for the first request of a connection that came just before the daemon stops
	graceTime  = 5 * time.Second        // for requests under way
	lastTime   = 200 * time.Millisecond // of it, for the answers of those that had to be broken off
	turnTime   = 20 * time.Second       // for a request's turn to come
	leaveTime  = 2 * time.Second        // for a connection that has to make room

	keepAlive = "timeout=60" // idleTime, for clients that ask when to be first (Node.js does)
)

// Outbox is what the socket needs of the queue. Its methods are those of
// outbox.Queue: Append returns only when the message is kept, and an error from
// it means that nothing was.
type Outbox interface {
	Append(ctx context.Context, m outbox.Message) (outbox.Message, error)
	Repeat(m outbox.Message) (first outbox.Message, known bool, err error)
	Get(id string) (outbox.Message, error)
	Wait(ctx context.Context, id string) (outbox.Message, error)
	List(after string, limit int) (page []outbox.Message, total int)
	Drop(id string) error
	ListOf(owner, after string, limit int) (page []outbox.Message, total int, last string, more bool)
	DropTopic(filter func(topic string) bool) (int, error)
	DropTopicOf(owner string, filter func(topic string) bool) (int, error)
	DropForeign() (int, error)
	Retarget() (int, error)
	Stats() outbox.Stats
	Disk() outbox.DiskStats
}

// Recorder counts requests. The route is a pattern out of a closed set, as in
// "POST /v1/publish", or "other"; code is the HTTP status. d is the time to the
// answer's first byte: a publish's wait is in it, a stream's life is not.
type Recorder interface {
	Request(route string, code int, d time.Duration)
}

// Options is what a Server is made of. Outbox, Hub and Board are needed; the
// zero value of all else is useful.
type Options struct {
	Outbox   Outbox
	Hub      *bus.Hub
	Board    *bus.StatusBoard
	Downlink *downlink.Store                          // what is kept for programs that are away; nil: nothing is
	Module   Module                                   // POST /v1/at and /v1/reprovision; nil: there is none
	Flight   *bus.Flight                              // GET /v1/trace; nil: there is none
	Batched  func(topic string) bool                  // whether the messages of a topic go together; nil: those of none
	Carry    func(topic string, payload []byte) error // why the module cannot carry a message, as *bus.CarryError; nil: it can carry all
	Named    func(topic string) bool                  // whether the configuration names a topic that is not the device's own; nil: it names none
	Metrics  http.Handler                             // GET /metrics; nil: there is none
	Page     *web.Feed                                // GET /, and what the page reads; nil: there is none
	Healthy  func() error                             // why the supervisor makes no progress; nil: it does
	Version  string
	Conns    int                                             // socket.max_connections; 0 is 1200
	Reload   func(ctx context.Context) (api.Reloaded, error) // reads the configuration again; its error is Mistakes if there are any. nil: there is nothing to read
	Config   func() api.Config                               // what is in effect; nil: nothing is known
	Source   func(program string) uint8                      // the number of a program, for outbox.Message.Source; nil: none is told apart
	MQTT     func() *api.MQTT                                // what the listener for MQTT programs holds; nil: there is none
	Data     func() api.Data                                 // what the connection has used; nil: nothing is known
	Access   *access.Control                                 // who may do what; nil: everybody everything
	Recorder Recorder                                        // nil: nobody counts
	Log      *zap.Logger

	who    func(net.Conn) (peer.Cred, error) // peer.Of; tests have users of their own
	groups func(net.Conn) ([]uint32, error)  // peer.Groups
}

// Server answers local programs. Make one with New and run it with Serve.
type Server struct {
	o      Options
	begun  time.Time
	places *fair.Pool[int64]  // of connections, by uid
	bodies *fair.Pool[int64]  // of bytes of bodies that are on their way
	turns  *fair.Turns[int64] // of requests that cost processor time

	accepted atomic.Uint64
	streams  atomic.Int64
	dropped  atomic.Uint64
	crowded  atomic.Uint64
}

// Stats counts what the server holds and what it had to drop.
type Stats struct {
	Streams        int    // subscriptions and event streams open now
	StreamsDropped uint64 // streams cut off because their reader took nothing for 10 s
	Conns          int    // connections that have a place
	ConnsEnded     uint64 // connections that had to make room for another user
}

// New returns a server that listens to nothing yet. Its uptime begins now.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Conns == 0 {
		o.Conns = usualConns
	}
	if o.who == nil {
		o.who = peer.Of
	}
	if o.groups == nil {
		o.groups = peer.Groups
	}
	return &Server{
		o: o, begun: time.Now(), places: fair.NewPool[int64](int64(o.Conns), keptConns),
		bodies: fair.NewPool[int64](allBodies, 0), turns: fair.NewTurns[int64](runtime.GOMAXPROCS(0)),
	}
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	held, _ := s.places.Held()
	return Stats{Streams: int(s.streams.Load()), StreamsDropped: s.dropped.Load(), Conns: int(held), ConnsEnded: s.crowded.Load()}
}

// Accepted returns how many connections were accepted so far. As long as it grows
// the socket is served, however busy it is.
func (s *Server) Accepted() uint64 { return s.accepted.Load() }

// serving is the server on one listener, for the time of one Serve.
type serving struct {
	*Server
	mux      *http.ServeMux
	stopping context.Context // ends when no more requests are accepted
	life     context.Context // ends when those under way have had their time
	conns    sync.WaitGroup  // a goroutine of net/http each
}

// Serve answers on l until ctx ends. Then it accepts no more, closes idle
// connections, ends streams and waits, and gives requests under way 5 s. It
// returns nil when every connection's goroutine is gone. When l fails, it does
// the same at once and returns why. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stopping, stop := context.WithCancel(ctx)
	defer stop()
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	front := s.limit(l)
	sv := &serving{Server: s, stopping: stopping, life: life}
	sv.mux = sv.routes()
	hs := sv.httpServer()
	accepting, ended := make(chan error, 1), make(chan struct{})
	go func() { accepting <- hs.Serve(front); close(ended) }()

	var failed error
	select {
	case err := <-accepting:
		failed = fmt.Errorf("socket %s: accept: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	stop()
	_ = front.Close()
	<-ended // so that every connection is in the books
	if !front.settle(graceTime - lastTime) {
		kill()
		if !front.settle(lastTime) {
			s.o.Log.Warn("requests were cut off at shutdown")
		}
	}
	_ = hs.Close()
	sv.conns.Wait()
	return failed
}

// httpServer is net/http's part, with its bounds. It tells sv.conns of every
// connection's goroutine.
func (s *serving) httpServer() *http.Server {
	return &http.Server{
		Handler:                      http.HandlerFunc(s.serve),
		ReadHeaderTimeout:            headerTime,
		IdleTimeout:                  idleTime,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return s.life },
		ConnContext:                  withClient,
		ErrorLog:                     stdLog(s.o.Log),
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.conns.Add(1)
			case http.StateActive, http.StateIdle:
				c.(*conn).turn(state)
			case http.StateClosed, http.StateHijacked:
				s.conns.Done()
			}
		},
	}
}

// stdLog gives net/http's own complaints (a handler's panic, a failing accept)
// a place in the daemon's log.
func stdLog(l *zap.Logger) *log.Logger {
	std, err := zap.NewStdLogAt(l, zap.WarnLevel)
	if err != nil {
		return nil // cannot be: the level exists. nil is net/http's default
	}
	return std
}
