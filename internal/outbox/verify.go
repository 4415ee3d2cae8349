package outbox

import (
	"fmt"
	"os"

	"airbridged/internal/outbox/files"
)

// Report is what Verify found.
type Report struct {
	Messages int    // that would be sent
	Bytes    int64  // their topics and payloads
	Segments int    // files
	Damaged  uint64 // records that are lost
	Notes    []Note // what is wrong, in words
}

// Verify reads the directory of a stopped daemon, every record of it, and
// changes nothing. each, if not nil, is given the messages that would be sent, in
// the order of acceptance; its error ends the reading. What has expired by now is
// left out.
//
// Errors: ErrBusy while a daemon runs on it, ErrVersion, that of each, or what
// the file system says. Damage is no error but in the Report.
func Verify(dir string, each func(Message) error) (Report, error) {
	if st, err := os.Stat(dir); err != nil {
		return Report{}, &Error{Op: "verify", Err: err}
	} else if !st.IsDir() {
		return Report{}, &Error{Op: "verify", Err: fmt.Errorf("%w: %s is no directory", ErrInvalid, dir)}
	}
	q, err := Open(dir, Limits{}, Options{Files: readOnly{files.Dir(dir)}})
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = q.log.release() }()
	r := Report{Damaged: q.Disk().Damaged, Segments: q.Disk().Segments, Notes: q.Notes()}
	for after := ""; ; {
		page, _ := q.List(after, 100)
		if len(page) == 0 {
			return r, nil
		}
		for _, m := range page {
			after = m.ID
			r.Messages++
			r.Bytes += m.size()
			if each == nil {
				continue
			}
			if err := each(m); err != nil {
				return r, err
			}
		}
	}
}

// readOnly is a directory in which every change succeeds and does nothing.
type readOnly struct{ files.Dir }

func (readOnly) Rename(string, string) error { return nil }
func (readOnly) Link(string, string) error   { return nil }
func (readOnly) Remove(string) error         { return nil }
func (readOnly) Mkdir(string) error          { return nil }
func (readOnly) SyncDir(string) error        { return nil }
