// Package ipctest runs the daemon's real socket and queue in a test process, for
// tests of what talks to them: package client and airbridgectl. In place of the
// session, the module and the cloud it has a loop that settles messages by their
// topic. It is only imported by tests.
package ipctest

import (
	"context"
	"os"
	"path/filepath"
	"sync"

	"airbridged/internal/bus"
	"airbridged/internal/ipc"
	"airbridged/internal/outbox"
)

// What becomes of a message is decided by its topic. On any other one it stays
// in flight for ever, and all that follow it wait.
const (
	UpdateTopic = "/a1b2c3/gw-1/update" // acknowledged; QoS 0: sent
	RejectTopic = "/a1b2c3/gw-1/reject" // rejected
)

// Messages is how many QoS 1 messages the queue holds before it is full.
const Messages = 8

// Daemon is a running one. It panics where it cannot go on, because examples
// have no testing.T.
type Daemon struct {
	Socket string
	Hub    *bus.Hub
	Board  *bus.StatusBoard
	Queue  *outbox.Queue
	Stop   func() // ends it and waits; may be called again
}

// Start runs a daemon on a socket in a directory of its own. change may adapt
// its options; nil takes them as they are.
func Start(change func(*ipc.Options)) *Daemon {
	dir, err := os.MkdirTemp("", "airbridged")
	check(err)
	return StartAt(filepath.Join(dir, "airbridged.sock"), change)
}

// StartAt is Start on a given socket, for a daemon that comes after another one.
// The socket's directory is its own: Stop removes it.
func StartAt(socket string, change func(*ipc.Options)) *Daemon {
	d := &Daemon{
		Socket: socket,
		Hub:    bus.NewHub(),
		Board:  bus.NewStatusBoard(),
		Queue:  outbox.New(outbox.Limits{Messages: Messages}),
	}
	o := ipc.Options{Outbox: d.Queue, Hub: d.Hub, Board: d.Board, Version: "1.2.3"}
	if change != nil {
		change(&o)
	}
	l, err := ipc.Listen(d.Socket, 0o600, "")
	check(err)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { check(ipc.New(o).Serve(ctx, l)) })
	all.Go(func() { d.settle(ctx) })
	d.Stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
		check(os.RemoveAll(filepath.Dir(socket)))
	})
	return d
}

// settle is the session, the module and the cloud.
func (d *Daemon) settle(ctx context.Context) {
	for {
		select {
		case <-d.Queue.Ready():
		case <-ctx.Done():
			return
		}
		for m, ok := d.Queue.Take(); ok; m, ok = d.Queue.Take() {
			switch {
			case m.Topic == RejectTopic:
				check(d.Queue.Done(m.ID, outbox.Rejected, "this module cannot carry it"))
			case m.Topic == UpdateTopic && m.QoS == 0:
				check(d.Queue.Done(m.ID, outbox.Sent, ""))
			case m.Topic == UpdateTopic:
				check(d.Queue.Done(m.ID, outbox.Acked, ""))
			}
		}
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
