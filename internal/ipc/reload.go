package ipc

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Reloaded is what a reload of the configuration did: the answer to
// POST /v1/reload. Keys are dotted, as in "log.level"; the tables [[subscribe]]
// and [[access]] are named without an element.
type Reloaded struct {
	Changed      []string `json:"changed"`       // changed in the files, and in effect now
	NeedsRestart []string `json:"needs_restart"` // changed in the files, in effect after a restart only
	Warnings     []string `json:"warnings"`      // what works, but not as the files suggest
}

// Mistake is one mistake in the configuration: FILE:LINE:COLUMN: key: text.
type Mistake struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Key    string `json:"key"`
	Text   string `json:"text"`
}

func (m Mistake) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", m.File, m.Line, m.Column, m.Key, m.Text)
}

// Mistakes is the error of Options.Reload when the configuration has any:
// nothing was changed.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, one := range m {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

var badConfiguration = kind{"configuration", http.StatusUnprocessableEntity, "The configuration has mistakes"}

// reload answers when the new configuration is in effect, or refused.
func (s *serving) reload(w http.ResponseWriter, r *http.Request) error {
	if err := privileged(r); err != nil {
		return err
	}
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	if s.o.Reload == nil {
		return noSuchRoute.problem("this daemon has no configuration to read again", existing)
	}
	done, err := s.o.Reload(r.Context())
	if mistakes, ok := errors.AsType[Mistakes](err); ok {
		p := badConfiguration.problem(mistakes.Error(), "nothing was changed; correct the files and reload once more")
		p.Mistakes = mistakes
		return p
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, "application/json", done)
	return nil
}
