package api

import (
	"fmt"
	"time"
)

// ATCommand is the body of POST /v1/at.
type ATCommand struct {
	Command string `json:"command"`
	Force   bool   `json:"force,omitempty"` // give it although it does more than ask
}

// ATReply is what the module answered to a command that a person gave.
type ATReply struct {
	Lines   []string `json:"lines"`               // without the final one
	Final   string   `json:"final"`               // OK, ERROR, +CME ERROR: 3 and the like
	OK      bool     `json:"ok"`                  // Final is a good one
	Seconds float64  `json:"took_seconds"`        // from command to final result
	Anew    bool     `json:"session_begins_anew"` // because of this command, which was forced
}

// Reconnecting is the answer to POST /v1/reconnect.
type Reconnecting struct {
	NextAttemptAt *time.Time `json:"next_attempt_at"` // null: it is online
}

// Registration is the answer to POST /v1/reprovision.
type Registration struct {
	State string `json:"state"`         // Registered or Registering
	See   string `json:"see,omitempty"` // where to learn what becomes of it
}

// States of a [Registration]: done, and still under way.
const (
	Registered  = "registered"
	Registering = "registering"
)

// Reloaded is the answer to POST /v1/reload: what a reload of the daemon's
// configuration did. Keys are dotted, as in "log.level"; the tables [[subscribe]]
// and [[access]] are named without an element.
type Reloaded struct {
	Changed      []string `json:"changed"`       // changed in the files, and in effect now
	NeedsRestart []string `json:"needs_restart"` // changed in the files, in effect after a restart only
	Warnings     []string `json:"warnings"`      // what works, but not as the files suggest
}

// Mistake is one mistake in the daemon's configuration.
type Mistake struct {
	File   string `json:"file"`
	Line   int    `json:"line"`   // from 1 on
	Column int    `json:"column"` // from 1 on, in bytes
	Key    string `json:"key"`
	Text   string `json:"text"` // what is wrong, and what to do
}

// String is FILE:LINE:COLUMN: key: text.
func (m Mistake) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", m.File, m.Line, m.Column, m.Key, m.Text)
}
