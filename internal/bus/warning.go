package bus

import (
	"cmp"
	"slices"
	"time"
)

// WarningCode is a word of the closed set of what lasts and a person should know
// of, whatever the state is.
type WarningCode string

// The codes.
const (
	ForeignQueue    WarningCode = "foreign-queue"     // messages of another device wait in the outbox
	StoreReadOnly   WarningCode = "store-read-only"   // state.dir or outbox.dir cannot be written: its file system is read-only
	StoreGone       WarningCode = "store-gone"        // one of them was taken away, or something was mounted over it
	StoreFailing    WarningCode = "store-failing"     // one of them cannot be read or written
	LogLost         WarningCode = "log-lost"          // lines of the log could not be written
	FilterRefused   WarningCode = "filter-refused"    // the cloud refuses a subscription
	OnConnectFailed WarningCode = "on-connect-failed" // an [[on_connect]] message was not answered
	ProgramRepeats  WarningCode = "program-repeats"   // a program publishes the same again and again
	IMEIUnwritten   WarningCode = "imei-unwritten"    // the module has no IMEI of its own
)

// WarningCodes lists the closed set.
func WarningCodes() []WarningCode {
	return []WarningCode{
		ForeignQueue, StoreReadOnly, StoreGone, StoreFailing, LogLost, FilterRefused, OnConnectFailed, ProgramRepeats, IMEIUnwritten,
	}
}

// Warning is one of them, in the form of GET /v1/status.
type Warning struct {
	Code   WarningCode `json:"code"`
	Detail string      `json:"detail"` // what it is about, in words
	Hint   string      `json:"hint"`   // what to do
	// About tells several warnings of one code apart: a directory, a filter.
	About string `json:"-"`
}

// maxWarnings bounds the warnings that are kept. Those beyond it are not taken in:
// by then a person has enough to read.
const maxWarnings = 64

// SetWarning makes a warning last until it is cleared. It replaces one of the same
// Code and About; one that was not there yet is an event too.
func (b *Board) SetWarning(w Warning) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := slices.Clone(b.status.Warnings)
	i, there := slices.BinarySearchFunc(list, w, compareWarnings)
	switch {
	case there:
		list[i] = w
	case len(list) >= maxWarnings:
		return
	default:
		list = slices.Insert(list, i, w)
	}
	b.status.Warnings = list
	if !there {
		b.tell(Event{Type: WarningEvent, At: time.Now(), Code: string(w.Code), Detail: w.Detail})
	}
}

// ClearWarning ends a warning, and says whether there was one.
func (b *Board) ClearWarning(code WarningCode, about string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, there := slices.BinarySearchFunc(b.status.Warnings, Warning{Code: code, About: about}, compareWarnings)
	if there {
		b.status.Warnings = slices.Delete(slices.Clone(b.status.Warnings), i, i+1)
	}
	return there
}

func compareWarnings(a, b Warning) int {
	return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.About, b.About))
}
