package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"airbridged/internal/air"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
	"airbridged/internal/tty"
)

// alone walks what the daemon would walk, and stops before it would tell the
// cloud of this device.
func (x *examination) alone(ctx context.Context) {
	x.walk(ctx)
	x.identityOnDisk()
	x.skip(Login, "only the daemon logs in")
	x.skip(MQTT, "only the daemon connects")
	x.queueOnDisk()
}

// walk goes from the port to name lookup.
func (x *examination) walk(ctx context.Context) {
	rest := []string{Module, SIM, Signal, Network, Bearer, Names}
	if !x.portIsFree() {
		x.needless(rest...)
		return
	}
	if err := waitOutDataPhase(ctx, x.cfg.State.Dir); err != nil {
		return
	}
	l, err := train(ctx, x.cfg)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		x.portError(err)
		x.needless(rest...)
		return
	}
	x.portOpens()
	if l == nil {
		x.stop(Module, x.silenceAdvice(), "no answer at any of the usual speeds")
		x.needless(rest[1:]...)
		return
	}
	defer l.close()
	_ = l.Train(ctx, 1, trainEach) // once more: the echo of the first may have been lost behind boot lines
	echoed := l.Echoes()
	defer x.leaveAsItWas(ctx, l, func(ctx context.Context) error {
		if !echoed {
			return nil
		}
		return l.Echo(ctx, true)
	})
	if x.module(ctx, l); x.stopped == "" {
		x.radio(ctx, l)
	}
	for i, check := range rest { // what lies behind a failure was not looked at
		if check == x.stopped {
			x.needless(rest[i+1:]...)
		}
	}
}

// leaveTime bounds putting things back.
const leaveTime = 30 * time.Second

// leaveAsItWas undoes something, also for a user who has lost patience.
func (x *examination) leaveAsItWas(ctx context.Context, l *openedModule, undo func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	if !l.InSync() && l.Resync(ctx) != nil {
		return // it does not answer any more
	}
	_ = undo(ctx)
}

// portIsFree says whether the port may be opened.
func (x *examination) portIsFree() bool {
	switch {
	case !x.known:
		x.skip(SerialPort, "the configuration is not known")
	case x.barred:
		x.skip(SerialPort, "the daemon may hold it; ask as root")
	default:
		who, hint, held := tty.Holder(x.cfg.Modem.Device)
		if !held {
			return true
		}
		x.fail(SerialPort, hint, "%s is held by %s", portShown(x.cfg.Modem.Device), who)
	}
	x.stopped = SerialPort
	return false
}

// portOpens tells what else there is to know about a port that could be opened.
func (x *examination) portOpens() {
	device := x.cfg.Modem.Device
	if words, advice := x.modemManager(device); words != "" {
		x.warn(SerialPort, advice, "%s opens%s", portShown(device), words)
		return
	}
	if words, advice := daemonMayNot(device, x.cfg.State.Dir); words != "" {
		x.warn(SerialPort, advice, "%s opens, %s", portShown(device), words)
		return
	}
	x.ok(SerialPort, "%s opens", portShown(device))
}

// daemonMayNot looks whether the daemon's user, to whom the state directory
// belongs, may open the port by its mode. The service manager may give it groups
// that are not in the user database, so this is a warning.
func daemonMayNot(device, stateDir string) (words, advice string) {
	port, err := os.Stat(device)
	state, stateErr := os.Stat(stateDir)
	if err != nil || stateErr != nil {
		return "", ""
	}
	owner, group := ids(port)
	uid, _ := ids(state)
	if uid == 0 || int(uid) == os.Geteuid() || uid == owner {
		return "", ""
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return "", ""
	}
	groups, err := u.GroupIds()
	mode := port.Mode().Perm()
	if err != nil || mode&0o006 == 0o006 || mode&0o060 == 0o060 && slices.Contains(groups, strconv.FormatUint(uint64(group), 10)) {
		return "", ""
	}
	return fmt.Sprintf("but %s, to whom %s belongs, may not by its groups", u.Username, stateDir),
		tty.LetIn(device, port, u.Username)
}

func ids(info fs.FileInfo) (uid, gid uint32) {
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		return sys.Uid, sys.Gid
	}
	return 0, 0
}

// silenceAdvice says what to do about a module that does not answer.
func (x *examination) silenceAdvice() string {
	advice := recovery.NoAnswer.Hint()
	if words, _ := x.usb(); words != "" {
		advice += "; " + words + ": only one or two of its ports take AT commands"
	}
	return advice
}

// module finds out who answers.
func (x *examination) module(ctx context.Context, l *openedModule) {
	id, err := l.Identify(ctx)
	if err != nil {
		x.stop(Module, recovery.OutOfSync.Hint(), "it answers, but cannot be understood: %v", err)
		return
	}
	x.imei = id.IMEI
	who := fmt.Sprintf("%s answers at %d bit/s", id.Firmware, l.baud)
	var unsupported *air.UnsupportedError
	switch _, err := l.Probe(ctx, id); {
	case errors.As(err, &unsupported):
		x.stop(Module, unsupported.Hint, "%s, but %s", who, unsupported.Reason)
	case err != nil:
		x.stop(Module, recovery.OutOfSync.Hint(), "%s, but cannot be understood: %v", who, err)
	case x.cfg.Modem.Baud != 0 && x.cfg.Modem.Baud != l.baud && x.cfg.Modem.WorkBaud != l.baud:
		x.fail(Module, fmt.Sprintf("set modem.baud to %d, or to 0, which looks for the speed", l.baud), "%s, and modem.baud is %d", who, x.cfg.Modem.Baud)
	default:
		x.ok(Module, "%s", who)
	}
}

// identityOnDisk looks whether the cloud has handed out this device's secret.
func (x *examination) identityOnDisk() {
	if !x.known {
		x.skip(Identity, "the configuration is not known")
		return
	}
	d := x.cfg.Device
	if !d.DeviceSecret.Empty() {
		x.ok(Identity, "the device's secret is given by the configuration")
		return
	}
	name := d.DeviceName
	if name == "" {
		name = x.imei
	}
	stored, err := provision.Stored(x.cfg.State.Dir)
	switch {
	case errors.Is(err, fs.ErrPermission):
		x.skip(Identity, "this user may not read %s; root may", x.cfg.State.Dir)
	case slices.ContainsFunc(stored, func(id provision.Identity) bool {
		return id.ProductKey == d.ProductKey && (id.DeviceName == name || name == "")
	}):
		x.ok(Identity, "the secret of device %s is stored in %s", shown(name, "(unknown)"), x.cfg.State.Dir)
	case err != nil:
		x.fail(Identity, "", "%v", err)
	case len(stored) > 0:
		x.warn(Identity, "check device.product_key and device.device_name; a new module has a new name, and registers once more",
			"%s holds the secret of device %s of product %s, not of %s of %s", x.cfg.State.Dir, stored[0].DeviceName, stored[0].ProductKey, shown(name, "(unknown)"), d.ProductKey)
	default:
		x.warn(Identity, "nothing to do: the daemon registers the device when it has a connection; dynamic registration must be on in the cloud's console",
			"no device secret is stored yet")
	}
}

func shown(s, otherwise string) string {
	if strings.TrimSpace(s) == "" {
		return otherwise
	}
	return s
}
