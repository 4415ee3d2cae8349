package intake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"airbridged/internal/bus"
	"airbridged/internal/outbox"
)

// What is asked before a message is handed on.
func TestChecks(t *testing.T) {
	for name, want := range map[string]Cause{
		"/a1/gw/update": -1, "$airbridge/state": Reserved, "$airbridge": Reserved, "": BadTopic, "/a/+": BadTopic, "/a b": BadTopic,
	} {
		r := Topic(name)
		switch {
		case want == -1 && r != nil:
			t.Errorf("%q is refused: %v", name, r)
		case want != -1 && (r == nil || r.Cause != want || r.Detail == "" || r.Cause.Passes()):
			t.Errorf("%q: %+v, want cause %d", name, r, want)
		}
	}
	tooLarge := &bus.CarryError{Reason: "5000 bytes", TooLarge: true}
	for _, c := range []struct {
		err  error
		want Cause
	}{{tooLarge, TooLarge}, {&bus.CarryError{Reason: "NUL", Byte: 0}, NotCarried}, {&bus.CarryError{Reason: "no JSON", Unfit: true}, NotBatchable}, {errors.New("no"), NotCarried}} {
		if r := Payload("/a", nil, func(string, []byte) error { return c.err }); r == nil || r.Cause != c.want || r.Detail != c.err.Error() {
			t.Errorf("%v: %+v, want cause %d", c.err, r, c.want)
		}
	}
	if r := Payload("/a", nil, nil); r != nil {
		t.Error(r)
	}
	if r := Payload("/a", nil, func(string, []byte) error { return nil }); r != nil {
		t.Error(r)
	}
}

// What the outbox says, and whether the same message may be taken later.
func TestOf(t *testing.T) {
	for _, c := range []struct {
		err    error
		want   Cause
		passes bool
	}{
		{&outbox.Error{Op: "append", Err: outbox.ErrFull, Hint: "publish less"}, Full, true},
		{&outbox.Error{Op: "append", Err: fmt.Errorf("%w: %w", outbox.ErrDisk, syscall.ENOSPC)}, Disk, true},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.EROFS}, Disk, true},
		{&outbox.Error{Op: "append", Err: outbox.ErrClosed}, Stopping, true},
		{context.DeadlineExceeded, Late, true},
		{&outbox.Error{Op: "append", Err: outbox.ErrInvalid}, Internal, false},
	} {
		if r := Of(c.err); r.Cause != c.want || r.Cause.Passes() != c.passes || r.Detail == "" {
			t.Errorf("%v: %+v, want cause %d, later %v", c.err, r, c.want, c.passes)
		}
	}
	if r := Of(&outbox.Error{Op: "append", Err: outbox.ErrFull, Hint: "publish less"}); r.Advice != "publish less" {
		t.Errorf("%+v", r)
	}
}
