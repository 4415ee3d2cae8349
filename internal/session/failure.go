package session

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/provision"
)

// Failure is why a state could not be left the good way. Hint, when set, is
// more exact than the cause's own.
type Failure struct {
	Cause Cause
	Hint  string
	Err   error
}

func (f *Failure) Error() string {
	if f.Err == nil {
		return string(f.Cause)
	}
	return fmt.Sprintf("%s: %v", f.Cause, f.Err)
}

func (f *Failure) Unwrap() error { return f.Err }

// hint is what the operator is shown.
func (f *Failure) hint() string {
	if f.Hint != "" {
		return f.Hint
	}
	return f.Cause.Hint()
}

// failed makes a Failure of an error that has a cause of its own in this place,
// unless the error says something worse about the module or the port.
func failed(c Cause, err error) error {
	if f := fault(err); f != nil {
		return f
	}
	return &Failure{Cause: c, Err: err}
}

// ErrWriteBlocked is what the port's Write must wrap when its peer stopped
// taking bytes.
var ErrWriteBlocked = errors.New("serial write blocked")

// fault recognises what is wrong below the step that failed: the module
// restarted, the engine lost step, the port is gone. It returns nil for an
// answer that means what it says.
func fault(err error) *Failure {
	var f *Failure
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, ErrWriteBlocked):
		return &Failure{Cause: WriteBlocked, Err: err}
	case errors.Is(err, atengine.ErrRebooted):
		return &Failure{Cause: Rebooted, Err: err}
	case errors.Is(err, atengine.ErrClosed):
		return &Failure{Cause: PortMissing, Err: err}
	case errors.Is(err, air.ErrBearerLost):
		return &Failure{Cause: BearerFailed, Err: err}
	case errors.Is(err, air.ErrLinkLost):
		return &Failure{Cause: Closed, Err: err}
	case errors.Is(err, atengine.ErrOutOfSync):
		return &Failure{Cause: OutOfSync, Err: err}
	}
	return nil
}

// silence tells a command that was not answered from any other failure: the
// engine is out of step after it, and must be resynced before the next one.
func silence(err error) bool {
	return errors.Is(err, atengine.ErrTimeout)
}

// postFailure turns what became of an HTTPS request into a Failure.
func postFailure(err error) error {
	var refused *provision.CloudError
	if errors.As(err, &refused) {
		return &Failure{Cause: Cause(refused.Kind()), Hint: refused.Hint(), Err: err}
	}
	var status *air.HTTPError
	if errors.As(err, &status) {
		return &Failure{Cause: httpCause(status.Status), Err: err}
	}
	return failed(HTTPFailed, err)
}

// httpCause sorts HTTP status codes; 600 to 606 are the module's own (AT manual,
// HTTPACTION).
func httpCause(status int) Cause {
	switch {
	case status == 429 || status >= 500 && status < 600:
		return CloudError
	case status >= 400 && status < 500:
		return RequestRefused
	}
	return HTTPFailed
}

// storeFailure tells a full disk from a directory that cannot be written.
func storeFailure(err error) error {
	cause := StateUnwritable
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		cause = DiskFull
	}
	var path *fs.PathError
	hint := ""
	if errors.As(err, &path) {
		hint = fmt.Sprintf("%s cannot be written (%v): check its owner, free space and a read-only file system", path.Path, path.Err)
	}
	return &Failure{Cause: cause, Hint: hint, Err: err}
}
