package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"airbridged/client"
	"airbridged/internal/config"
	"airbridged/internal/durable"
	"airbridged/internal/outbox"
)

// loaded is what reading the configuration came to.
type loaded struct {
	warnings []config.Warning
	err      error
}

// load reads it with the daemon's own code, as the service hands its secrets over. A
// daemon that answers has its secret, wherever from.
func (x *examination) load(answers bool) loaded {
	var service config.Service
	if x.service != nil {
		service = x.service.Service()
	}
	if answers {
		service.Credentials = map[string]config.Credential{"product-secret": {From: "the daemon that runs"}}
		service.Writable = nil // disk looks
	}
	cfg, warnings, err := config.LoadFor(x.Config, service)
	if err == nil {
		x.cfg, x.known = cfg, true
	}
	return loaded{warnings, err}
}

// configuration tells of its mistakes. Those that a daemon which runs does not know
// meet it at its next start.
func (x *examination) configuration(l loaded, answers bool) {
	if f, err := os.Open(x.Config); errors.Is(err, fs.ErrPermission) {
		x.skip(Configuration, "this user may not read %s; root may", x.Config)
		return
	} else if err == nil {
		_ = f.Close()
	}
	advice := "airbridged --check-config --config " + x.Config + " lists "
	switch {
	case l.err != nil:
		x.mistakes(l.err, advice+"every mistake", answers)
	case len(l.warnings) > 0:
		x.warn(Configuration, advice+"all", "%s", l.warnings[0])
	default:
		x.ok(Configuration, "%s has no mistakes", x.Config)
	}
}

func (x *examination) mistakes(err error, advice string, answers bool) {
	list := strings.Split(err.Error(), "\n")
	// What only another user may read is no mistake for the daemon.
	mine := fmt.Sprintf("cannot be read by uid %d", os.Geteuid())
	if os.Geteuid() != 0 && !slices.ContainsFunc(list, func(m string) bool { return !strings.Contains(m, mine) }) {
		x.skip(Configuration, "this user may not read all of it (%s); root may", list[0])
		return
	}
	more := ""
	if len(list) > 1 {
		more = fmt.Sprintf(", and %d more mistakes", len(list)-1)
	}
	if answers {
		x.warn(Configuration, advice+"; correct it before the next restart", "the daemon runs, and could not be started again: %s%s", list[0], more)
		return
	}
	x.fail(Configuration, advice, "%s%s", list[0], more)
}

// socketPath is where to look for the daemon.
func (x *examination) socketPath() string {
	switch {
	case x.Socket != "":
		return x.Socket
	case os.Getenv(client.SocketVariable) != "":
		return os.Getenv(client.SocketVariable)
	case x.known:
		return x.cfg.Socket.Path
	case x.service != nil: // as the packaged units have it
		if _, instance, ok := strings.Cut(x.service.Base(), "@"); ok {
			return "/run/airbridged/" + instance + ".sock"
		}
	}
	return client.DefaultSocket
}

// askTime bounds one question to the daemon: it answers from memory.
const askTime = 10 * time.Second

// ask puts the first question, and says whether it was answered.
func (x *examination) ask(ctx context.Context, c *client.Client) bool {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	x.status, x.asked = c.Status(ctx)
	return x.asked == nil
}

// daemon says whether there is a daemon to ask, and how it is.
func (x *examination) daemon(ctx context.Context, c *client.Client) bool {
	switch err := x.asked; {
	case errors.Is(err, client.ErrNotPermitted):
		x.barred = true
		x.warn(Daemon, "", "whether it runs cannot be seen: it does not answer this user")
		x.fail(Socket, socketAdvice(c.Socket()), "%s may not be opened by user %s", c.Socket(), userName())
		return false
	case errors.Is(err, client.ErrConfiguration):
		x.fail(Daemon, "correct the configuration; systemctl restart "+x.base(), "it does not run: its configuration has mistakes")
		x.skip(Socket, "the daemon does not run")
		return false
	case errors.Is(err, client.ErrUnreachable):
		x.ofUnit(c.Socket())
		x.skip(Socket, "the daemon does not run")
		return false
	case err != nil:
		x.barred = true
		x.fail(Daemon, "systemctl restart "+x.base()+"; journalctl -u "+x.base()+" says what it did last", "it listens on %s, but gives no answer: %v", c.Socket(), err)
		x.skip(Socket, "the daemon gives no answer")
		return false
	}
	health, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if err := c.Healthy(health); err != nil {
		x.fail(Daemon, "systemctl restart "+x.base()+"; journalctl -u "+x.base()+" says what it did last", "version %s answers, but makes no progress: %v", x.status.Version, err)
	} else {
		x.ok(Daemon, "version %s runs, its state is %s", x.status.Version, x.status.State)
	}
	x.socket(c.Socket())
	return true
}

// base is the service as people type it.
func (x *examination) base() string {
	if x.service != nil {
		return x.service.Base()
	}
	return "airbridged"
}

// ofUnit tells what systemd knows of a daemon that nobody hears of.
func (x *examination) ofUnit(socket string) {
	const last = "journalctl -u %s -n 20 has its last words"
	u := x.service
	switch {
	case u == nil:
		x.warn(Daemon, "systemctl start airbridged, once this is done; journalctl -u airbridged says why it stopped", "it does not run: nobody listens on %s", socket)
	case u.State == "failed" || u.SubState == "auto-restart":
		x.fail(Daemon, fmt.Sprintf(last, u.Base())+"; systemctl restart "+u.Base(), "it does not run: %s failed, %s", u.Name, u.Ending())
	case u.Runs():
		x.fail(Daemon, fmt.Sprintf(last, u.Base()), "%s is %s, but nobody listens on %s", u.Name, u.SubState, socket)
	case !u.Condition:
		x.warn(Daemon, "write "+x.Config+".d/site.toml, and systemctl restart "+u.Base(), "it does not run: %s is not started before there is a configuration", u.Name)
	case u.Ended:
		x.warn(Daemon, "systemctl start "+u.Base()+".target, once this is done", "it does not run: %s is stopped, %s", u.Name, u.Ending())
	default:
		x.warn(Daemon, "systemctl start "+u.Base()+".target, once this is done", "it does not run: %s was not started", u.Name)
	}
}

// socket tells who may use it.
func (x *examination) socket(path string) {
	info, err := os.Stat(path)
	if err != nil {
		x.ok(Socket, "%s answers", path)
		return
	}
	x.ok(Socket, "%s answers, with mode %#o and group %s", path, info.Mode().Perm(), groupOf(info))
}

func socketAdvice(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "run as root, or as a member of the socket's group"
	}
	words := fmt.Sprintf("its mode is %#o and its group %s: ", info.Mode().Perm(), groupOf(info))
	if _, gid := ids(info); gid != 0 && info.Mode().Perm()&0o060 == 0o060 {
		return words + fmt.Sprintf("usermod -aG %s %s, and log in again; or run this as root", groupOf(info), userName())
	}
	return words + "give it a group of those who may publish, with socket.group (SocketGroup= of its socket unit, where systemd opens it) and mode 0660; or run this as root"
}

func groupOf(info fs.FileInfo) string {
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "unknown"
	}
	gid := strconv.FormatUint(uint64(sys.Gid), 10)
	if g, err := user.LookupGroupId(gid); err == nil {
		return g.Name
	}
	return gid
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}

// tight is less room on a disk than the queue needs to go on, in bytes.
const tight = 4 << 20

// disk looks at the file systems of queue and credentials.
func (x *examination) disk() {
	switch {
	case x.status.Cause == "disk-full" || x.status.Cause == "state-unwritable":
		x.fail(Disk, x.status.Hint, "the daemon cannot write: %s", x.status.Cause)
		return
	case x.storeWarned():
		return
	case !x.known:
		x.skip(Disk, "the configuration is not known")
		return
	}
	for _, dir := range []string{x.cfg.Outbox.Dir, x.cfg.State.Dir} {
		place, free, readOnly, err := room(dir)
		switch {
		case x.service != nil && !x.service.Writable(dir):
			x.fail(Disk, "open it by a drop-in with "+durable.Opening(dir)+" (data-directory.conf of the examples), and restart the service",
				"%s is closed to %s, whose sandbox leaves it read-only", dir, x.service.Name)
			return
		case err != nil:
			x.fail(Disk, "let it belong to the daemon's user", "%s cannot be looked at: %v", dir, err)
			return
		case readOnly:
			x.fail(Disk, "mount it writable, and look at the kernel's log for why it is not", "%s is on a read-only file system", place)
			return
		case free < tight:
			x.fail(Disk, "free some space there; the daemon takes messages again by itself", "%s has %d KiB free, too little to keep messages", place, free>>10)
			return
		}
	}
	place, free, _, _ := room(x.cfg.Outbox.Dir)
	if wanted := x.cfg.Outbox.MaxBytes - x.status.Outbox.Bytes; free < wanted {
		x.warn(Disk, "free some space there, or set outbox.max_bytes to less", "%s has %d MiB free, and the queue may grow by %d MiB more", place, free>>20, wanted>>20)
		return
	}
	x.ok(Disk, "%s has %d MiB free", place, free>>20)
}

// stores is how the codes of the warnings about directories begin.
const stores = "store-"

// storeWarned tells what the daemon itself says of its directories, which may be closed
// to it alone.
func (x *examination) storeWarned() bool {
	for _, w := range x.status.Warnings {
		if strings.HasPrefix(w.Code, stores) {
			x.fail(Disk, w.Hint, "the daemon says %s: %s", w.Code, w.Detail)
			return true
		}
	}
	return false
}

// room looks at the file system of a directory, or of the nearest one above it
// that exists.
func room(dir string) (place string, free int64, readOnly bool, err error) {
	for place = filepath.Clean(dir); ; place = filepath.Dir(place) {
		var fs unix.Statfs_t
		switch err := unix.Statfs(place, &fs); {
		case errors.Is(err, unix.ENOENT) && place != "/":
			continue
		case err != nil:
			return place, 0, false, err
		}
		return place, int64(fs.Bavail) * int64(fs.Bsize), fs.Flags&unix.ST_RDONLY != 0, nil
	}
}

// built is a time before which no clock can be right: this was written then.
var built = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// wrong is how far the clock may be off the network's before somebody should know.
const wrong = time.Minute

// clock looks whether the time is possible, and what the network says to it.
func (x *examination) clock() {
	now := x.now()
	if told := x.status.Modem.NetworkTime; told != nil {
		x.ahead = time.Duration(told.OffsetSeconds * float64(time.Second))
	}
	const advice = "set it: timedatectl set-ntp true, or a real-time clock with a battery; messages go up all the same, but the times of messages and logs are wrong"
	switch {
	case now.Before(built):
		x.warn(Clock, advice, "it says %s, which cannot be", now.UTC().Format(time.DateOnly))
	case now.After(built.AddDate(30, 0, 0)):
		x.warn(Clock, advice, "it says %s, which is far ahead", now.UTC().Format(time.DateOnly))
	case x.ahead.Abs() > wrong:
		words := "behind"
		if x.ahead < 0 {
			words = "ahead of"
		}
		x.warn(Clock, advice, "it says %s UTC, which is %s %s the network's time", now.UTC().Format(time.DateTime), span(x.ahead.Abs()), words)
	default:
		x.ok(Clock, "it says %s UTC", now.UTC().Format(time.DateTime))
	}
}

// queueOnDisk reads the queue of a daemon that does not run.
func (x *examination) queueOnDisk() {
	switch {
	case !x.known:
		x.skip(Queue, "the configuration is not known")
		return
	case x.barred:
		x.skip(Queue, "a daemon may have it open")
		return
	}
	dir := x.cfg.Outbox.Dir
	report, err := outbox.Verify(dir, nil)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.ok(Queue, "empty: %s does not exist yet", dir)
	case errors.Is(err, outbox.ErrBusy):
		x.fail(Queue, "find it: fuser -v "+dir+"/*", "a daemon has %s open, but does not answer on its socket", dir)
	case errors.Is(err, fs.ErrPermission):
		x.skip(Queue, "this user may not read %s; root may", dir)
	case err != nil:
		x.fail(Queue, "airbridgectl outbox verify "+dir+" says more", "%v", err)
	case report.Damaged > 0:
		x.warn(Queue, "nothing to do: the daemon sets what is damaged aside when it starts; look at the health of the disk",
			"%d messages wait, and %d records are damaged", report.Messages, report.Damaged)
	case report.Messages >= x.cfg.Outbox.MaxMessages || report.Bytes >= x.cfg.Outbox.MaxBytes:
		x.warn(Queue, "it drains once the daemon is online", "it is full: %d messages wait", report.Messages)
	default:
		x.quarantine(fmt.Sprintf("%d messages wait", report.Messages))
	}
}

// quarantine tells of damage that was found earlier, or that all is well.
func (x *examination) quarantine(words string) {
	if x.known {
		dir := filepath.Join(x.cfg.Outbox.Dir, "quarantine")
		if aside, err := os.ReadDir(dir); err == nil && len(aside) > 0 {
			x.warn(Queue, "look at the health of the disk; delete the files when they are not needed any more", "%s; %d damaged files were set aside in %s", words, len(aside), dir)
			return
		}
	}
	x.ok(Queue, "%s", words)
}
