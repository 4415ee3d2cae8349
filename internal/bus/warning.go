package bus

import (
	"cmp"
	"slices"
	"time"

	"airbridged/client/api"
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
	DownlinkFull    WarningCode = "downlink-full"     // a program does not take what is kept for it, and the oldest is given up
	ProgramRepeats  WarningCode = "program-repeats"   // a program publishes the same again and again
	IMEIUnwritten   WarningCode = "imei-unwritten"    // the module has no IMEI of its own
	ResetLine       WarningCode = "reset-line"        // modem.reset_gpio cannot be used
)

// WarningCodes lists the closed set.
func WarningCodes() []WarningCode {
	return []WarningCode{
		ForeignQueue, StoreReadOnly, StoreGone, StoreFailing, LogLost, FilterRefused, OnConnectFailed, DownlinkFull, ProgramRepeats, IMEIUnwritten,
		ResetLine,
	}
}

// Warning is one of them.
type Warning struct {
	Code   WarningCode
	About  string // tells several of one code apart: a directory, a filter
	Detail string // what it is about, in words
	Hint   string // what to do
}

// maxWarnings bounds the warnings that are kept. Those beyond it are not taken in:
// by then a person has enough to read.
const maxWarnings = 64

// SetWarning makes a warning last until it is cleared. It replaces one of the same
// Code and About; one that was not there yet is an event too.
func (b *StatusBoard) SetWarning(w Warning) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, there := slices.BinarySearchFunc(b.warnings, w, compareWarnings)
	switch {
	case there:
		b.warnings[i] = w
	case len(b.warnings) >= maxWarnings:
		return
	default:
		b.warnings = slices.Insert(b.warnings, i, w)
	}
	b.showWarnings()
	if !there {
		b.tell(At(time.Now(), Warned(string(w.Code), w.Detail)))
	}
}

// ClearWarning ends a warning, and says whether there was one.
func (b *StatusBoard) ClearWarning(code WarningCode, about string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, there := slices.BinarySearchFunc(b.warnings, Warning{Code: code, About: about}, compareWarnings)
	if there {
		b.warnings = slices.Delete(b.warnings, i, i+1)
		b.showWarnings()
	}
	return there
}

// showWarnings brings them into the status, in a list that is never written to
// again.
func (b *StatusBoard) showWarnings() {
	list := make([]api.Warning, len(b.warnings))
	for i, w := range b.warnings {
		list[i] = api.Warning{Code: string(w.Code), Detail: w.Detail, Hint: w.Hint}
	}
	b.status.Warnings = list
}

func compareWarnings(a, b Warning) int {
	return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.About, b.About))
}
