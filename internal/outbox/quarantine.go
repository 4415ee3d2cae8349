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

// keep puts a second name of a file there, unless it has one already.
func (h *home) keep(name string) error {
	return h.quarantine(name, func(to string) error { return h.files.Link(name, to) })
}

// setAside moves a file there.
func (h *home) setAside(name string) error {
	return h.quarantine(name, func(to string) error { return h.files.Rename(name, to) })
}

func (h *home) quarantine(name string, bring func(to string) error) error {
	if err := h.files.Mkdir(quarantineDir); err != nil {
		return err
	}
	to := quarantineDir + "/" + name
	if err := bring(to); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	names, err := h.files.List(quarantineDir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for len(names) > maxQuarantined {
		if names[0] != name {
			if err := h.files.Remove(quarantineDir + "/" + names[0]); err != nil {
				return err
			}
		}
		names = names[1:]
	}
	return errors.Join(h.files.SyncDir(quarantineDir), h.files.SyncDir("."))
}
