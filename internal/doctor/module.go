package doctor

import (
	"context"
	"slices"
	"sync"
	"time"

	"airbridged/internal/air"
	"airbridged/internal/config"
	"airbridged/internal/dataphase"
	"airbridged/internal/durable"
	"airbridged/internal/tty"
)

// How often and how long one speed is tried: the first one more often, because a
// module that is just starting answers late.
const (
	trainFirst = 6
	trainOther = 2
	trainEach  = 800 * time.Millisecond
)

// nameTime bounds the answer of the network's name servers.
const nameTime = 20 * time.Second

// openedModule is the open port with the module behind it, and who reads it.
type openedModule struct {
	*air.Modem
	port   *tty.Port
	baud   int
	stop   context.CancelFunc
	reader sync.WaitGroup
}

func openModule(ctx context.Context, cfg config.Config, baud int) (*openedModule, error) {
	port, err := tty.Open(cfg.Modem.Device, baud)
	if err != nil {
		return nil, err
	}
	t := cfg.Cloud.Timeouts
	modem := air.New(port, air.Options{
		Baud:     baud,
		Timeouts: air.Timeouts{Command: t.Command, Bearer: t.Bearer, Connect: nameTime},
	})
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx)) // its owner closes it, after a last word
	l := &openedModule{Modem: modem, port: port, baud: baud, stop: stop}
	l.reader.Go(func() { _ = modem.Run(ctx) })
	return l, nil
}

func (l *openedModule) close() {
	l.stop()
	_ = l.port.Close()
	l.reader.Wait()
}

// candidates are the speeds to try, the likeliest first.
func candidates(m config.Modem) []int {
	var list []int
	for _, baud := range append([]int{m.Baud, m.WorkBaud}, air.Speeds()...) {
		if baud != 0 && !slices.Contains(list, baud) {
			list = append(list, baud)
		}
	}
	return list
}

// train opens the port at one speed after the other until the module answers. It
// returns nil and no error for a module that answers at none.
func train(ctx context.Context, cfg config.Config) (*openedModule, error) {
	tries := trainFirst
	for _, baud := range candidates(cfg.Modem) {
		l, err := openModule(ctx, cfg, baud)
		if err != nil {
			return nil, err
		}
		if err = l.Train(ctx, tries, trainEach); err == nil {
			return l, nil
		}
		l.close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		tries = trainOther
	}
	return nil, nil
}

// waitOutDataPhase waits while the module would take a command for a payload.
func waitOutDataPhase(ctx context.Context, stateDir string) error {
	now := time.Now()
	left := dataphase.Open(durable.OnDisk(stateDir), now).Left(now)
	if left <= 0 {
		return nil
	}
	select {
	case <-time.After(left):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
