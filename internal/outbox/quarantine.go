package outbox

import (
	"errors"
	"io/fs"
	"slices"
)

const (
	// quarantineDir is where damaged segments are kept for whoever wants to look
	// at them. Nothing reads them again.
	quarantineDir = "quarantine"
	// maxQuarantined is how many stay there; the oldest goes.
	maxQuarantined = 16
)

// quarantine puts a file there by bring, unless it is there already.
func (l *segmentLog) quarantine(bring func(to string) error, name string) error {
	if err := l.files.Mkdir(quarantineDir); err != nil {
		return err
	}
	to := quarantineDir + "/" + name
	if err := bring(to); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	names, err := l.files.List(quarantineDir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for len(names) > maxQuarantined {
		if names[0] != name {
			if err := l.files.Remove(quarantineDir + "/" + names[0]); err != nil {
				return err
			}
		}
		names = names[1:]
	}
	return errors.Join(l.files.SyncDir(quarantineDir), l.files.SyncDir("."))
}
