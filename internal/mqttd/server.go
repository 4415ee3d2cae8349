package mqttd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/access"
	"airbridged/internal/bus"
	"airbridged/internal/downlink"
	"airbridged/internal/outbox"
	"airbridged/internal/passwords"
)

// Times of the server.
const (
	connectTime = 10 * time.Second       // for a CONNECT to arrive
	packetTime  = 60 * time.Second       // for a packet that has begun to arrive whole
	answerTime  = 30 * time.Second       // for a client to take what is written
	connackTime = 8 * time.Second        // CONNACK at the latest: one library gives up after 10 s
	pauseTime   = 10 * time.Second       // without reading, while the disk is slow
	saveTime    = 8 * time.Second        // for a session's filters to be on disk before they are acknowledged
	graceTime   = 3 * time.Second        // for answers under way when a connection or the daemon ends
	retryTime   = 250 * time.Millisecond // between two tries to keep what is held
	longestAway = 168 * time.Hour        // that a session without a connection is kept in memory
)

// Bounds of the server, beside those of Options.
const (
	waiters         = 64       // connections beyond MaxConnections that wait for a place, or for their CONNECT
	maxAnswers      = 16 << 10 // bytes of answers that a client has not taken yet; then it is not read from
	maxFilters      = 200      // of one client
	maxFlight       = 64       // messages down that wait for a client's PUBACK
	maxClientID     = 1024     // bytes
	holdsInAll      = 32       // times HoldBytes
	maxUnfinished   = 8 << 20  // bytes of packets that have not arrived whole
	messageOverhead = 64       // bytes that an unanswered message counts beyond topic and payload
)

// Outbox is what the listener needs of the queue; its methods are those of
// outbox.Queue.
type Outbox interface {
	Begin(m outbox.Message, after *outbox.Appending) (*outbox.Appending, error)
}

// Recorder counts. Labels are out of closed sets.
type Recorder interface {
	// MQTTPublish counts one PUBLISH of a program, by what became of it.
	MQTTPublish(outcome string)
	// MQTTConnect counts one CONNECT, by how it was answered.
	MQTTConnect(result string)
	// MQTTRetain counts one PUBLISH, or will, whose retain flag was not kept.
	MQTTRetain()
}

// Outcomes of Recorder.MQTTPublish. What is about a bridge itself, and the repeat of
// a QoS 2 message, are none.
const (
	Kept    = "kept"    // in the outbox
	Refused = "refused" // QoS 1 or 2 that can never go, or that did not fit with when_full = "refuse"
	Dropped = "dropped" // QoS 0 or a will that was not kept
)

// Outcomes are all of them.
func Outcomes() []string { return []string{Kept, Refused, Dropped} }

// Results of Recorder.MQTTConnect.
const (
	Welcome  = "accepted"
	Rejected = "refused"
	NoPlace  = "no-place" // max_connections, for all of the 8 s
)

// Results are all of them.
func Results() []string { return []string{Welcome, Rejected, NoPlace} }

// Options is what a Server is made of. Outbox, Hub and Board are needed.
type Options struct {
	Outbox    Outbox
	Hub       *bus.Hub
	Board     *bus.StatusBoard
	Downlink  *downlink.Store                          // keeps sessions and their messages; nil: they end with the daemon
	Status    func() api.Status                        // for $airbridge/state; nil: the board's
	Carry     func(topic string, payload []byte) error // why the module cannot carry a message, as *bus.CarryError; nil: it can
	Source    func(program string) uint8               // the number of a program, for outbox.Message.Source; nil: none is told apart
	Access    *access.Control                          // who may do what; nil: everybody everything
	Passwords func() *passwords.File                   // of clients on TCP; nil, or what it returns: they need none

	Refuse         bool // mqtt.when_full = "refuse"
	MaxConnections int  // 0: 1200
	MaxPacket      int  // bytes; 0: 256 KiB
	ReceiveMaximum int  // 0: 64
	HoldBytes      int  // 0: 256 KiB

	Recorder Recorder // nil: nobody counts
	Log      *zap.Logger
}

// Server answers local MQTT clients. Make one with New and run it with Run and
// Serve.
type Server struct {
	o        Options
	places   places
	sessions registry
	wills    wills
	poison   poison
	told     told
	accepted atomic.Uint64
	due      chan struct{} // 1-buffered: something may be due earlier
	whoIs    func(net.Conn) Who
}

// Stats is what the server holds at the moment.
type Stats struct {
	Clients   int   // connected
	Sessions  int   // of clients that are away
	Held      int   // messages without an answer because there is no room for them
	HeldBytes int64 // theirs
}

// New returns a server that listens to nothing yet.
func New(o Options) *Server {
	o.MaxConnections = cmp.Or(o.MaxConnections, 1200)
	o.MaxPacket = cmp.Or(o.MaxPacket, 256<<10)
	o.ReceiveMaximum = cmp.Or(o.ReceiveMaximum, 64)
	o.HoldBytes = cmp.Or(o.HoldBytes, 256<<10)
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Recorder == nil {
		o.Recorder = nobody{}
	}
	if o.Status == nil {
		o.Status = func() api.Status { return o.Board.Status().Told(time.Now()) }
	}
	s := &Server{o: o, due: make(chan struct{}, 1), whoIs: whoIs}
	s.places.init(o)
	s.sessions.init(o)
	s.sessions.restore(o.Log)
	s.wills.init()
	s.poison.init(o.Board)
	s.told.init()
	return s
}

// nobody counts.
type nobody struct{}

func (nobody) MQTTPublish(string) {}
func (nobody) MQTTConnect(string) {}
func (nobody) MQTTRetain()        {}

// Stats returns the present numbers.
func (s *Server) Stats() Stats {
	st := s.places.stats()
	st.Sessions = s.sessions.away()
	return st
}

// Accepted returns how many connections were accepted so far.
func (s *Server) Accepted() uint64 { return s.accepted.Load() }

// Run looks after what is due and tells of the daemon's state, until ctx ends. It
// never fails. The sessions of clients that are away end with it.
func (s *Server) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { s.tend(ctx) })
	all.Go(func() { s.tellState(ctx) })
	all.Go(func() { s.followRules(ctx) })
	all.Wait()
	s.sessions.close()
	return nil
}

// Serve answers on l until ctx ends. Then it accepts no more and closes the
// connections, without a word to the clients, so that they come back: those with
// messages on their way to the disk are answered before. It returns nil when every
// connection's goroutines are gone. When l fails, it does the same and returns why.
// It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	unhook := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer unhook()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = nc.Close()
			}
			return nil
		case err != nil && passing(err):
			s.o.Log.Warn("a connection could not be accepted, trying again", zap.Error(err))
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		case err != nil:
			stop()
			return fmt.Errorf("socket %s: accept: %w", l.Addr(), err)
		}
		s.accepted.Add(1)
		c := s.newConn(nc)
		if !s.places.arrive(c) {
			_ = nc.Close()
			continue
		}
		all.Go(func() { c.serve(ctx) })
	}
}

// passing says whether a failure to accept is one of the moment: too many files, no
// memory, a client that left in between.
func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.ECONNABORTED, syscall.EINTR, syscall.EPROTO} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
