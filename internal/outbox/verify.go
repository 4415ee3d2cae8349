package outbox

import (
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
	d, err := files.OpenDir(dir)
	if err != nil {
		return Report{}, &Error{Op: "verify", Err: err}
	}
	q, err := Open(dir, Limits{}, Options{Files: readOnly{d}})
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = q.closeHomes() }()
	if err := q.log.homeErr; err != nil {
		return Report{}, &Error{Op: "verify", Err: err}
	}
	r := Report{Damaged: q.Disk().Damaged, Segments: q.Disk().Segments, Notes: q.Notes()}
	for after := ""; ; {
		page, _ := q.List(after, 100)
		if len(page) == 0 {
			return r, nil
		}
		for _, m := range page {
			after = m.ID
			r.Messages++
			r.Bytes += int64(len(m.Topic) + m.Size)
			if each == nil {
				continue
			}
			whole, err := q.Read(m.ID)
			if err == nil {
				err = each(whole)
			}
			if err != nil {
				return r, err
			}
		}
	}
}

// readOnly is a directory in which every change succeeds and does nothing.
type readOnly struct{ *files.Dir }

func (readOnly) Rename(string, string) error { return nil }
func (readOnly) Link(string, string) error   { return nil }
func (readOnly) Remove(string) error         { return nil }
func (readOnly) Mkdir(string) error          { return nil }
func (readOnly) SyncDir(string) error        { return nil }
func (readOnly) Writable() error             { return nil }
