package airsim

import (
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// hostBuffer is how many bytes a host can write ahead of the wire: the
	// size of a Linux tty's output buffer. A Write beyond it blocks.
	hostBuffer = 4096
	// readBuffer is how many bytes may wait to be read by the host. A line
	// without flow control loses what comes after them.
	readBuffer = 64 << 10
)

// segment is what one Write put on the line.
type segment struct {
	data []byte
	at   time.Time // when it was written
	baud int       // the host's rate then; 0: not known, taken as right
}

// serialLine is the serial line between one host and the module: two byte queues,
// both bounded. The module's side never blocks; the host's side does. Its lock
// is a leaf: nothing else is taken while it is held.
type serialLine struct {
	wake func() // tells the module that there is input

	mu      sync.Mutex
	changed *sync.Cond
	written []segment // host to module, not yet taken
	ahead   int       // bytes written that have not arrived at the module yet
	out     []byte    // module to host, not yet read
	lost    int       // bytes the host was too slow for
	baud    int       // the host's configured rate; 0: not known
	stalled bool      // the module takes nothing
	came    time.Time // when the module last put something in out
	handed  time.Time // when the host could first read what was sent last
	ended   error     // why Read and Write fail; nil while the line is up
}

func newSerialLine(wake func()) *serialLine {
	l := &serialLine{wake: wake}
	l.changed = sync.NewCond(&l.mu)
	return l
}

// Read gives the host what the module sent. It blocks until there is something
// or the line has ended, and still hands out what came before the end.
func (l *serialLine) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	waited := false
	for len(l.out) == 0 && l.ended == nil {
		l.changed.Wait()
		waited = true
	}
	if len(l.out) == 0 {
		return 0, l.ended
	}
	n := copy(p, l.out)
	// A host that came late could have had it before: that is its own time.
	if l.handed = l.came; waited {
		l.handed = time.Now()
	}
	l.out = l.out[:copy(l.out, l.out[n:])]
	return n, nil
}

// Write puts the host's bytes on the line. It returns when they are in the
// buffer, not when they have arrived, and blocks while the buffer is full.
func (l *serialLine) Write(p []byte) (int, error) { return l.write(p, 0) }

// write is Write for bytes that were written some time ago.
func (l *serialLine) write(p []byte, ago time.Duration) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	done := 0
	for done < len(p) {
		for l.ended == nil && l.ahead >= hostBuffer {
			l.changed.Wait()
		}
		if l.ended != nil {
			return done, l.ended
		}
		n := min(len(p)-done, hostBuffer-l.ahead)
		data := append([]byte(nil), p[done:done+n]...)
		l.written = append(l.written, segment{data: data, at: time.Now().Add(-ago), baud: l.baud})
		l.ahead += n
		done += n
		l.wake()
	}
	return done, l.ended
}

// Close is the host closing its end. A Read or Write in progress fails with
// os.ErrClosed.
func (l *serialLine) Close() error {
	l.end(os.ErrClosed)
	return nil
}

// SetBaud configures the host's end. A rate that differs from the module's
// turns both directions into garbage; until the first call the rates match.
func (l *serialLine) SetBaud(baud int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return l.ended
	}
	l.baud = baud
	return nil
}

// end fails the line for both ends; the first reason stays.
func (l *serialLine) end(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended == nil {
		l.ended = why
	}
	l.changed.Broadcast()
	l.wake()
}

// unplug is what the host sees when the adapter is pulled: EIO from both calls.
func (l *serialLine) unplug() { l.end(syscall.EIO) }

// take hands the module all that was written since the last call.
func (l *serialLine) take() []segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.written
	l.written = nil
	return s
}

// arrived says that n bytes have left the host's buffer.
func (l *serialLine) arrived(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ahead -= n
	l.changed.Broadcast()
}

// deliver puts the module's bytes where the host can read them, and says how
// many of them found no room.
func (l *serialLine) deliver(p []byte) (lost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return 0
	}
	l.came = time.Now()
	n := min(len(p), readBuffer-len(l.out))
	l.out = append(l.out, p[:n]...)
	l.lost += len(p) - n
	l.changed.Broadcast()
	return len(p) - n
}

// lastHanded is when the host got, or was about to get, what was sent last;
// zero while it waits.
func (l *serialLine) lastHanded() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.out) > 0 {
		return time.Time{}
	}
	return l.handed
}

// hostBaud is the host's rate now; 0 when it never said.
func (l *serialLine) hostBaud() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.baud
}

// stall tells whoever carries the line that the module takes nothing, or does
// again.
func (l *serialLine) stall(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stalled = on
	l.changed.Broadcast()
}

// stallChanged waits until stalled differs from was, or the line has ended.
func (l *serialLine) stallChanged(was bool) (is, up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.stalled == was && l.ended == nil {
		l.changed.Wait()
	}
	return l.stalled, l.ended == nil
}

// why is the reason of the end; nil while the line is up.
func (l *serialLine) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// up says whether the line still connects the two ends.
func (l *serialLine) up() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended == nil
}
