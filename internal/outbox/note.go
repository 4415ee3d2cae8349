package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"airbridged/internal/durable"
	"airbridged/internal/outbox/files"
)

// What a Note is about.
const (
	NoteDamage        = "outbox-damaged"    // something on disk was damaged, and is set aside
	NoteDiskFailing   = "outbox-disk"       // messages are refused, or acknowledgements not durable
	NoteDiskRecovered = "outbox-recovered"  // the disk works again
	NoteUnreadable    = "outbox-unreadable" // something cannot be read, and is tried again; others may pass it
	NoteMoved         = "outbox-moved"      // the directory was taken away, or is back
	NoteDropped       = "messages-dropped"  // by a bound, by expiry, by damage
	NotesMissed       = "outbox-notes-lost" // there were more notes than anybody read
)

// Note is something that an operator should see.
type Note struct {
	At   time.Time
	Kind string
	Text string
}

// maxNotes is how many wait to be read; later ones are only counted.
const maxNotes = 64

// notes collects what is to be told; guarded by Queue.mu.
type notes struct {
	list   []Note
	missed int
	drops  map[string]int // by reason, since they were last read
	more   chan struct{}  // 1-buffered
}

func (l *segmentLog) note(kind, text string) {
	if len(l.notes.list) >= maxNotes {
		l.notes.missed++
	} else {
		l.notes.list = append(l.notes.list, Note{time.Now(), kind, text})
	}
	poke(l.notes.more)
}

// noteDrop counts a drop that nobody asked for.
func (q *Queue) noteDrop(reason string) {
	if q.log == nil || reason != ReasonFull && reason != ReasonExpired && reason != ReasonDamaged {
		return
	}
	q.log.notes.drops[reason]++
	poke(q.log.notes.more)
}

// Noted delivers when there may be Notes, or what is foreign may have changed; nil, which never does, for a queue in
// memory.
func (q *Queue) Noted() <-chan struct{} {
	if q.log == nil {
		return nil
	}
	return q.log.notes.more
}

// Notes returns what is new since the last call, and forgets it: at most 64
// notes, and one for each reason for which messages were dropped.
func (q *Queue) Notes() []Note {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.log == nil {
		return nil
	}
	n := &q.log.notes
	list := n.list
	if n.missed > 0 {
		list = append(list, Note{time.Now(), NotesMissed, fmt.Sprintf("%d more", n.missed)})
	}
	reasons := make([]string, 0, len(n.drops))
	for reason := range n.drops {
		reasons = append(reasons, reason)
	}
	slices.Sort(reasons)
	for _, reason := range reasons {
		list = append(list, Note{time.Now(), NoteDropped, fmt.Sprintf("%d dropped: %s", n.drops[reason], reason)})
	}
	n.list, n.missed = nil, 0
	clear(n.drops)
	return list
}

// Warning is something that lasts and that an operator should know of.
type Warning struct{ Code, Detail, Hint string }

// Codes of warnings.
const (
	WarnReadOnly = "store-read-only" // the file system is read-only
	WarnGone     = "store-gone"      // the directory was removed, moved, or mounted over
	WarnFailing  = "store-failing"   // the disk is full or fails
)

// Warnings returns what is wrong with the disk at present, the worst first.
func (q *Queue) Warnings() (list []Warning) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	if l == nil {
		return nil
	}
	add := func(w Warning) {
		if !slices.ContainsFunc(list, func(other Warning) bool { return other.Code == w.Code }) {
			list = append(list, w)
		}
	}
	for _, err := range []error{l.homeErr, l.appendErr, l.flushErr} {
		if err != nil {
			add(l.warning(err))
		}
	}
	if n := q.unreadableCount(); n > 0 {
		add(Warning{WarnFailing, fmt.Sprintf("%d messages cannot be read; the others go first", n), hintUnreadable})
	}
	if l.home != nil && len(l.home.unread) > 0 {
		add(Warning{WarnFailing, fmt.Sprintf("%d files of the outbox cannot be read", len(l.home.unread)), hintUnreadable})
	}
	if n := q.strayed(); n > 0 {
		add(Warning{WarnGone, fmt.Sprintf("%d messages are in a directory that was taken away", n), hintStrayed})
	}
	return list
}

// strayed is how many messages are not where the next process finds them; under
// Queue.mu.
func (q *Queue) strayed() (n int) {
	for _, seg := range q.log.order {
		if seg.strayed(q.log.home) {
			n += seg.live
		}
	}
	return n
}

// warning puts an error of the disk into the words of the API.
func (l *segmentLog) warning(err error) Warning {
	switch {
	case errors.Is(err, syscall.EROFS):
		if hint := durable.SandboxHint(l.dir); hint != "" {
			return Warning{WarnReadOnly, err.Error(), hint}
		}
		return Warning{WarnReadOnly, err.Error(), hintReadOnly}
	case errors.Is(err, files.ErrGone), errors.Is(err, files.ErrElsewhere), errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESTALE):
		return Warning{WarnGone, err.Error(), hintGone}
	}
	return Warning{WarnFailing, err.Error(), hintDisk}
}
