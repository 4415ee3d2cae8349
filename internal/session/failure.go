package session

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/recovery"
)

// failed makes a Failure of an error that has a cause of its own in this place,
// unless the error says something worse about the module or the port.
func failed(c recovery.Cause, err error) error {
	if f := fault(err); f != nil {
		return f
	}
	return &recovery.Failure{Cause: c, Err: err}
}

// ErrWriteBlocked is what the port's Write must wrap when its peer stopped
// taking bytes.
var ErrWriteBlocked = errors.New("serial write blocked")

// fault recognises what is wrong below the step that failed: the module
// restarted, the engine lost step, the port is gone. It returns nil for an
// answer that means what it says.
func fault(err error) *recovery.Failure {
	var f *recovery.Failure
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, ErrWriteBlocked):
		return &recovery.Failure{Cause: recovery.WriteBlocked, Err: err}
	case errors.Is(err, air.ErrDoubtful):
		return &recovery.Failure{Cause: recovery.DoubtfulAnswer, Err: err}
	case errors.Is(err, atengine.ErrRebooted):
		return &recovery.Failure{Cause: recovery.Rebooted, Err: err}
	case errors.Is(err, atengine.ErrClosed):
		return &recovery.Failure{Cause: recovery.PortMissing, Err: err}
	case errors.Is(err, air.ErrBearerLost):
		return &recovery.Failure{Cause: recovery.BearerFailed, Err: err}
	case errors.Is(err, air.ErrLinkLost):
		return &recovery.Failure{Cause: recovery.Closed, Err: err}
	case errors.Is(err, atengine.ErrOutOfSync):
		return &recovery.Failure{Cause: recovery.OutOfSync, Err: err}
	}
	return nil
}

// simFailure is the Failure of a SIM that cannot be used now; nil for any other error,
// and none. An answer that was not understood says nothing: it is asked for again.
func simFailure(err error) *recovery.Failure {
	var sim *air.SIMError
	switch {
	case errors.As(err, &sim):
		hint := sim.Advice
		if hint == "" {
			hint = recovery.SIMMissing.Hint()
		}
		return &recovery.Failure{Cause: recovery.SIMMissing, Hint: fmt.Sprintf("%s (the module says %q)", hint, sim.Said), Err: err}
	case errors.Is(err, air.ErrMalformed):
		return &recovery.Failure{Cause: recovery.SIMMissing, Err: err}
	}
	return nil
}

// networkFailure is the Failure of a module that has no packet data, by what the network
// says. Only a denial is one; what else there is to do depends on the state.
func networkFailure(state air.NetworkState) *recovery.Failure {
	cause, hint := recovery.NotRegistered, recovery.NotRegistered.Hint()
	switch {
	case state.Denied():
		cause, hint = recovery.NetworkDenied, recovery.NetworkDenied.Hint()
	case state.Registered():
		hint = "the network knows the module and gives it no packet data: ask the SIM's operator whether it has data and is not suspended"
	case state.SMSOnly():
		hint = "the network lets this SIM send short messages only: ask its operator for packet data, in this network and with this module"
	case state.EmergencyOnly():
		hint = "the network lets this SIM make emergency calls only: ask its operator whether it is active, and may be used in this network"
	}
	return &recovery.Failure{Cause: cause, Hint: fmt.Sprintf("%s (the module says %q)", hint, state), Err: &air.NetworkError{State: state}}
}

// offFailure is the Failure of a module that has said that it switches itself off; err,
// if not nil, is how it shows now.
func offFailure(said string, err error) *recovery.Failure {
	why := fmt.Errorf("module reports %s", said)
	if err != nil {
		why = fmt.Errorf("%w, and does not answer since: %w", why, err)
	}
	hint := recovery.ModuleOff.Hint()
	switch {
	case strings.HasPrefix(said, "UNDER-VOLTAGE"):
		hint = "the module has switched itself off because its supply is too low: it needs peaks of 2 A at its pins; check the supply, its wires and its capacitor"
	case strings.HasPrefix(said, "OVER-VOLTAGE"):
		hint = "the module has switched itself off because its supply is too high: check it before the module is damaged"
	case strings.Contains(said, "TEMPERATURE"):
		hint = "the module has switched itself off because of its temperature: let it cool down, and see to the air around it"
	}
	return &recovery.Failure{Cause: recovery.ModuleOff, Hint: fmt.Sprintf("%s (the module said %q)", hint, said), Err: why}
}

// silence tells a command that was not answered from any other failure: the
// engine is out of step after it, and must be resynced before the next one.
func silence(err error) bool {
	return errors.Is(err, atengine.ErrTimeout)
}

// storeFailure tells a full disk from a directory that cannot be written, or read.
func storeFailure(err error) error {
	cause := recovery.StateUnwritable
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		cause = recovery.DiskFull
	}
	hint := ""
	var told interface{ Hint() string }
	var path *fs.PathError
	switch {
	case errors.As(err, &told):
		hint = told.Hint()
	case errors.As(err, &path):
		hint = fmt.Sprintf("%s cannot be written (%v): check its owner, free space and a read-only file system", path.Path, path.Err)
	}
	return &recovery.Failure{Cause: cause, Hint: hint, Err: err}
}
