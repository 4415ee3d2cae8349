package outbox

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/outbox/simdisk"
)

// What the matrix is of.
var (
	matrixErrnos = []syscall.Errno{
		syscall.EIO, syscall.ENOSPC, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EINTR, syscall.EROFS, syscall.ENOENT, syscall.ESTALE,
	}
	matrixCalls = map[string][]string{ // as simdisk calls them
		"open": {"open", "create", "lock"}, "read": {"read"}, "write": {"write", "truncate"}, "sync": {"sync", "syncdir"},
		"rename": {"rename", "link", "mkdir"}, "unlink": {"remove"}, "list": {"list"}, "stat": {"stat", "reserve"},
	}
	matrixWhen = []string{"start", "idle", "publishing", "draining", "rolling"}
	matrixHow  = map[string]func(n int) bool{
		"once": func(n int) bool { return n == 1 }, "every other time": func(n int) bool { return n%2 == 0 }, "always": func(int) bool { return true },
	}
)

// Every error at every call at every time: what is accepted arrives, what is refused
// does not, nothing intact is taken for damaged, and afterwards it works again by
// itself.
func TestErrnoMatrix(t *testing.T) {
	for _, errno := range matrixErrnos {
		t.Run(errno.Error(), func(t *testing.T) {
			for call, ops := range matrixCalls {
				for _, when := range matrixWhen {
					for how, strikes := range matrixHow {
						t.Run(fmt.Sprintf("%s, %s, %s", call, when, how), func(t *testing.T) {
							synctest.Test(t, func(t *testing.T) {
								m := &matrixCase{t: t, errno: errno, ops: ops, strikes: strikes, sent: map[string]int{}}
								m.run(when)
							})
						})
					}
				}
			}
		})
	}
}

// matrixCase is one cell.
type matrixCase struct {
	t        *testing.T
	errno    syscall.Errno
	ops      []string
	strikes  func(n int) bool
	disk     *simdisk.Disk
	q        running
	accepted []string
	refused  []string
	sent     map[string]int
	n        int
}

func (m *matrixCase) run(when string) {
	m.disk = simdisk.New()
	m.q = openOn(m.t, m.disk, Limits{})
	for range 12 {
		m.publish(300)
	}
	m.drain(4)
	m.q.stop()
	if when == "start" {
		m.fail()
	}
	m.q = openOn(m.t, m.disk, Limits{})
	if when != "start" {
		m.publish(10)
		m.fail()
	}
	switch when {
	case "start", "idle":
		time.Sleep(2*lookEvery + time.Second)
		if when == "start" {
			m.publish(10)
			m.drain(2)
		}
	case "publishing":
		for range 8 {
			m.publish(10)
			time.Sleep(300 * time.Millisecond)
		}
	case "rolling":
		for range 8 {
			m.publish(700)
		}
	case "draining":
		for range 20 {
			m.drain(1)
			time.Sleep(300 * time.Millisecond)
		}
	}
	if err := m.q.Drop("none"); !errors.Is(err, ErrUnknown) {
		m.t.Errorf("drop: %v", err)
	}
	m.disk.Fail(nil)
	time.Sleep(3 * retryEvery)
	if list := m.q.Warnings(); len(list) != 0 {
		m.t.Errorf("warnings when all is well again: %+v", list)
	}
	before := len(m.accepted)
	if m.publish(10); len(m.accepted) != before+1 {
		m.t.Error("it does not take messages again")
	}
	if s, d := m.q.Stats(), m.q.Disk(); d.Damaged != 0 || d.Quarantined != 0 || s.Dropped[ReasonDamaged] != 0 {
		m.t.Errorf("taken for damaged: %+v, %+v", s, d)
	}
	m.drain(3)
	check(m.t, m.q.awaitFlush())
	m.q.stop()
	m.q = openOn(m.t, m.disk.Certain(), Limits{})
	m.drain(1000)
	for _, name := range m.accepted {
		if m.sent[name] == 0 {
			m.t.Errorf("%s was accepted and never sent", name)
		}
		if m.sent[name] > 1 {
			m.t.Errorf("%s was sent %d times", name, m.sent[name])
		}
	}
	for _, name := range m.refused {
		if m.sent[name] > 0 {
			m.t.Errorf("%s was refused and is sent", name)
		}
	}
}

// fail has the calls fail from now on.
func (m *matrixCase) fail() {
	n := 0
	m.disk.Fail(func(op, _ string) error {
		for _, o := range m.ops {
			if o == op {
				if n++; m.strikes(n) {
					return m.errno
				}
			}
		}
		return nil
	})
}

func (m *matrixCase) publish(size int) {
	m.n++
	name := fmt.Sprint("m", m.n)
	_, err := m.q.Append(m.t.Context(), Message{Topic: name, Payload: []byte(strings.Repeat("x", size)), QoS: 1, Priority: Normal})
	switch {
	case err == nil:
		m.accepted = append(m.accepted, name)
	case !errors.Is(err, ErrDisk) || !errors.Is(err, m.errno):
		m.t.Errorf("%s: %v", name, err)
	default:
		m.refused = append(m.refused, name)
	}
}

// drain sends up to n messages.
func (m *matrixCase) drain(n int) {
	for range n {
		got, ok := m.q.Take()
		if !ok {
			return
		}
		m.sent[got.Topic]++
		check(m.t, m.q.Done(got.ID, Acked, ""))
	}
}
