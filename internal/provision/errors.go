package provision

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"airbridged/internal/durable"
)

// Conditions of the store, for errors.Is.
var (
	// ErrFull: no room, or no quota, on the file system of the state directory.
	ErrFull = errors.New("no space left")
	// ErrUnwritable: the state directory cannot be written for another reason.
	ErrUnwritable = errors.New("not writable")
	// ErrDamaged: credentials are there that are not what was written, and no
	// other generation has them. Registering again would be the wrong answer: the
	// cloud hands a secret out once. A file that only cannot be read now is not
	// damaged.
	ErrDamaged = errors.New("stored credentials are damaged")
)

// StoreError is a failure of the store: what it was doing, with which path,
// and why. It matches ErrFull or ErrUnwritable when a write failed.
type StoreError struct {
	Op   string
	Path string
	Err  error
}

// Error ends with what the operator can do.
func (e *StoreError) Error() string {
	words := fmt.Sprintf("%s %s: %v", e.Op, e.Path, cause(e.Err))
	if what := cure(e.Err); what != "" {
		words += "; " + what
	}
	return words
}

// Hint says what cannot be done now, and what to do about it.
func (e *StoreError) Hint() string {
	verb := map[string]string{opRead: "read", opReplace: "replaced", opRemove: "removed", opVerify: "read back", opOpen: "opened"}[e.Op]
	if verb == "" {
		verb = "written"
	}
	what := cure(e.Err)
	if what == "" {
		what = "check state.dir, its owner, free space and the disk"
	}
	words := fmt.Sprintf("%s cannot be %s (%v): %s", e.Path, verb, cause(e.Err), what)
	if e.Op == opRead {
		words += "; it is tried again by itself, and nothing is registered meanwhile"
	}
	return words
}

// Unwrap gives the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// Is sorts failures of writing into ErrFull and ErrUnwritable.
func (e *StoreError) Is(target error) bool {
	full := errors.Is(e.Err, syscall.ENOSPC) || errors.Is(e.Err, syscall.EDQUOT)
	switch target {
	case ErrFull:
		return full
	case ErrUnwritable:
		return !full && e.Op != opRead
	}
	return false
}

// cure says what somebody can do about a failed call; empty: nothing special.
func cure(err error) string {
	for _, c := range []struct {
		is   error
		what string
	}{
		{syscall.ENOSPC, "free some space there"},
		{syscall.EDQUOT, "free some space there, or raise the quota"},
		{syscall.EROFS, "mount it writable, or set state.dir to a directory that is"},
		{fs.ErrPermission, fmt.Sprintf("make it belong to uid %d, which this program runs as", os.Geteuid())},
		{syscall.EIO, "the storage fails: look at dmesg, replace it"},
		{syscall.ESTALE, "the network file system lost it: mount it again"},
		{syscall.EMFILE, "this process has too many files open: raise its limit (LimitNOFILE=)"},
		{syscall.ENFILE, "the system has too many files open: find which program, or raise fs.file-max"},
		{syscall.ENOMEM, "the system is short of memory: find which program takes it"},
		{durable.ErrLocked, "stop the other one, or give each daemon a state.dir of its own"},
		{durable.ErrNotRegular, "remove what stands there"},
		{fs.ErrNotExist, "is state.dir still there, and mounted?"},
	} {
		if errors.Is(err, c.is) {
			return c.what
		}
	}
	return ""
}

// cause drops the path that package os puts before an error.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// DamagedError says which credentials are damaged, and how. It is an ErrDamaged.
type DamagedError struct {
	Path string
	Err  error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%v: %s: %v", ErrDamaged, e.Path, cause(e.Err))
}

// Unwrap gives what is wrong with the file.
func (e *DamagedError) Unwrap() error { return e.Err }

// Is makes it an ErrDamaged.
func (e *DamagedError) Is(target error) bool { return target == ErrDamaged }

// Hint says what is damaged, where a backup goes, and what registering again
// needs.
func (e *DamagedError) Hint() string {
	return fmt.Sprintf("%s is damaged (%v), and there is no other copy of this device's secret: put a backup of the file in its place, "+
		"or write the DeviceSecret into device.device_secret_file; without either, reset the device in the cloud's console, then remove the file, and it registers again",
		e.Path, cause(e.Err))
}
