package recovery

import (
	"fmt"
	"strings"
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
	if text := f.Err.Error(); strings.HasPrefix(text, string(f.Cause)+": ") {
		return text // a hint was added to it
	}
	return fmt.Sprintf("%s: %v", f.Cause, f.Err)
}

func (f *Failure) Unwrap() error { return f.Err }

// Advice is what the operator is shown.
func (f *Failure) Advice() string {
	if f.Hint != "" {
		return f.Hint
	}
	return f.Cause.Hint()
}
