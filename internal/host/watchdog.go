package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
)

// Part is something that has to make progress for the daemon to be alive.
type Part struct {
	Name string
	// Answers returns nil when the part has shown that it moves, and the reason
	// why not at the latest when ctx ends.
	Answers func(ctx context.Context) error
}

// watchdog feeds the service manager's watchdog, by the progress of the parts
// and not by a clock: while one of them does not answer there is no ping, and
// when that lasts the service manager ends the process and starts another.
type watchdog struct {
	interval time.Duration // after which it is ended without a ping
	parts    []Part
	ping     func()
	log      *zap.Logger
}

// newWatchdog is for the interval of the service manager; ok is false when it
// does not watch.
func newWatchdog(log *zap.Logger, parts ...Part) (w watchdog, ok bool) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("the watchdog is off", zap.Error(err))
	}
	return watchdog{interval: interval, parts: parts, ping: func() { Notify(daemon.SdNotifyWatchdog) }, log: log}, interval > 0
}

// Watch watches over the parts until ctx ends, where a service manager
// wants it.
func Watch(ctx context.Context, log *zap.Logger, parts ...Part) error {
	w, watched := newWatchdog(log, parts...)
	if !watched {
		return nil
	}
	return w.run(ctx)
}

// verdict is what a part answered.
type verdict struct {
	part int
	err  error
}

// run asks every part four times in an interval, so that one slow answer does
// no harm, until ctx ends. It says once which Part does not answer. A part that
// does not even come back is not asked again until it does.
func (w watchdog) run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	round := time.NewTicker(w.interval / 4)
	defer round.Stop()
	verdicts := make(chan verdict, len(w.parts))
	asked := make([]bool, len(w.parts))
	told := ""
	for {
		for i, p := range w.parts {
			if asked[i] {
				continue
			}
			asked[i] = true
			asking.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, w.interval/5)
				defer cancel()
				verdicts <- verdict{i, p.Answers(ctx)}
			})
		}
		silent, over := w.collect(ctx, round.C, verdicts, asked)
		if ctx.Err() != nil {
			return nil
		}
		w.judge(silent, &told)
		if !over {
			select {
			case <-round.C:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// collect waits for what was asked, to the end of the round at most. It lists
// those that did not answer.
func (w watchdog) collect(ctx context.Context, end <-chan time.Time, verdicts <-chan verdict, asked []bool) (silent []string, over bool) {
	reasons := make([]error, len(w.parts))
	for waiting := true; waiting; {
		select {
		case v := <-verdicts:
			asked[v.part], reasons[v.part] = false, v.err
		case <-end:
			over = true
		case <-ctx.Done():
			return nil, true
		}
		waiting = false
		for _, a := range asked {
			waiting = waiting || a && !over
		}
	}
	for i, p := range w.parts {
		switch {
		case asked[i]:
			silent = append(silent, p.Name+": no answer")
		case reasons[i] != nil:
			silent = append(silent, p.Name+": "+reasons[i].Error())
		}
	}
	return silent, over
}

// judge pings, or says why not when that is new.
func (w watchdog) judge(silent []string, told *string) {
	if len(silent) == 0 {
		if *told != "" {
			w.log.Info("everything moves again")
		}
		*told = ""
		w.ping()
		return
	}
	names := make([]string, len(silent))
	for i, s := range silent {
		names[i], _, _ = strings.Cut(s, ":")
	}
	if now := strings.Join(names, ", "); now != *told {
		*told = now
		w.log.Error("stalled: the service manager will restart this process unless it moves again",
			zap.Strings("stalled", silent), zap.Duration("within", w.interval))
	}
}

// SocketAnswers asks /healthz over the daemon's own socket. What it says of the
// supervisor does not count here, only that it is said. accepted counts the
// connections: a socket that is so busy with other programs that there is no turn
// for us is not stalled, and neither is one whose file somebody has removed.
func SocketAnswers(socket net.Addr, accepted func() uint64, log *zap.Logger) func(ctx context.Context) error {
	var gone sync.Once
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, socket.Network(), socket.String())
		},
	}}
	return func(ctx context.Context) error {
		before := accepted()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://airbridged/healthz", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		switch {
		case err == nil:
			return resp.Body.Close()
		case errors.Is(err, fs.ErrNotExist):
			gone.Do(func() {
				log.Warn("the socket is gone from the file system", zap.String("socket", socket.String()),
					zap.String("detail", "no program can connect: restart its socket unit, or this daemon where there is none"))
			})
			return nil
		case accepted()-before > 1: // one may be ours
			return nil
		}
		return fmt.Errorf("socket %s: %w", socket, err)
	}
}
