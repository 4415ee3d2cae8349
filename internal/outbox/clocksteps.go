package outbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"airbridged/internal/outbox/files"
)

// clockName is the file that remembers when the wall clock was set.
const (
	clockName  = "clock"
	clockFresh = "clock.new"
)

// maxClockSteps bounds the steps that are remembered; the oldest go first. The clock of
// a gateway is set once after each start, and steps of which no message is left go
// anyway.
const maxClockSteps = 32

// clockStep is a moment at which the wall clock was set. It concerns the messages that
// this process had accepted by then: the origins in their records were read from
// the clock as it was before. Those of an earlier process were read from a clock
// of which this one knows nothing.
type clockStep struct {
	After uint64        `json:"after"` // sequence number of the last message before this process
	UpTo  uint64        `json:"up_to"` // and of the last one before the step
	By    time.Duration `json:"by"`    // nanoseconds; positive: it was set forward
}

type clockStepsRecord struct {
	Steps []clockStep `json:"steps"`
}

// clockSteps is what is known of the wall clock having been set. Guarded by Queue.mu.
type clockSteps struct {
	list  []clockStep
	first uint64 // the last sequence number before this process
	dirty bool   // the list is not on disk as it is
}

// elapsed is the count of the queue's clock; under the lock. It notices when the
// wall clock was set.
func (q *Queue) elapsed(now time.Time) int64 {
	n, by := q.clock.elapsed(now)
	if by != 0 && q.log != nil && q.ids.last > q.log.steps.first {
		s := &q.log.steps
		s.list = append(s.list, clockStep{s.first, q.ids.last, by})
		s.dirty = true
		q.log.signal()
	}
	return n
}

// originOf is when a record's message was accepted, in terms of the wall clock of
// now, nanoseconds since 1970.
func originOf(steps []clockStep, r *record) int64 {
	origin := r.origin
	for _, st := range steps {
		if r.seq > st.After && r.seq <= st.UpTo {
			origin += int64(st.By)
		}
	}
	return origin
}

// maxSmall bounds the files beside the segments, in bytes.
const maxSmall = 2 << 20

// readSmall reads a file as a whole. Where there is none, or something that is no
// file of ours, there is nothing. The error is of the moment.
func readSmall(d files.FileSystem, name string) ([]byte, error) {
	f, err := d.OpenRead(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, files.ErrNotRegular) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	b := make([]byte, min(size, maxSmall))
	n, err := f.ReadAt(b, 0)
	if err != nil && !ended(err) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b[:n], nil
}

// readSteps returns the steps of earlier processes. A damaged file is as good as
// none: messages may then live longer or shorter, by the step.
func readSteps(d files.FileSystem) ([]clockStep, error) {
	b, err := readSmall(d, clockName)
	var r clockStepsRecord
	if err != nil || json.Unmarshal(b, &r) != nil {
		return nil, err
	}
	return r.Steps[:min(len(r.Steps), maxClockSteps)], nil
}

// flushSteps writes the steps if there are new ones. While the disk fails it is
// tried again with every commit.
func (q *Queue) flushSteps() {
	list, due := q.takeSteps()
	if !due {
		return
	}
	if err := q.log.writeSteps(list); err != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.log.steps.dirty = true
	}
}

// takeSteps forgets the steps that concern no message any more.
func (q *Queue) takeSteps() (list []clockStep, due bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := &q.log.steps
	if !s.dirty {
		return nil, false
	}
	s.dirty = false
	if oldest := q.kept.oldest(); oldest != nil {
		s.list = slices.DeleteFunc(s.list, func(st clockStep) bool { return st.UpTo < oldest.seq })
	} else {
		s.list = nil
	}
	s.list = s.list[max(0, len(s.list)-maxClockSteps):]
	return slices.Clone(s.list), true
}

func (l *segmentLog) writeSteps(list []clockStep) error {
	b, err := json.Marshal(clockStepsRecord{list})
	if err != nil {
		return err
	}
	return l.writeSmall(clockFresh, clockName, b)
}

// writeSmall replaces a file beside the segments.
func (l *segmentLog) writeSmall(fresh, name string, b []byte) error {
	if l.home == nil || !l.home.loaded {
		return errNoHome
	}
	d := l.home.files
	f, err := d.Create(fresh)
	if err != nil {
		return err
	}
	err = l.write(f, []chunkOf{{0, append(b, '\n')}})
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = d.Rename(fresh, name)
	}
	if err == nil {
		err = d.SyncDir(".")
	}
	return err
}
