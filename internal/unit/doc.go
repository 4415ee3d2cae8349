// Package unit knows the systemd units that run the daemon: which one has a
// configuration, what became of it, which secrets it hands over, and which
// directories it leaves writable.
//
// It asks systemctl(1) and reads unit files, and changes something only where its
// name says so ([Unit.Stop], [Unit.Start]). It reads no secret. Where there is no
// systemd, every question is answered by [ErrNone].
package unit

import "errors"

// ErrNone: systemd does not run here, or has no such unit.
var ErrNone = errors.New("no systemd unit runs it")
