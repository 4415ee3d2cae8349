package unit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// askTime bounds a question to systemd; it answers from memory.
const askTime = 5 * time.Second

// running is where systemd says that it is the init (sd_booted(3)). Tests put another
// directory there.
var running = "/run/systemd/system"

// Unit is a service as systemd has it now.
type Unit struct {
	Name      string   // airbridged.service
	State     string   // active, activating, inactive, failed, ...
	SubState  string   // running, auto-restart, dead, ...
	Result    string   // of the last run: success, exit-code, watchdog, ...
	Exit      int      // exit status of the last main process
	Ended     bool     // there was such a process, and it is gone
	Status    string   // the daemon's own line in words
	Triggers  []string // sockets and others that start it
	Condition bool     // the conditions held when it was last started

	files      []string // the unit file and its drop-ins, in the order in which they count
	properties map[string][]string
}

// properties are asked for; the order does not matter.
var properties = []string{
	"LoadState", "ActiveState", "SubState", "Result", "ExecMainCode", "ExecMainStatus", "StatusText", "TriggeredBy", "ConditionResult",
	"FragmentPath", "DropInPaths", "ExecStart", "User", "SupplementaryGroups", "DeviceAllow", "DevicePolicy",
	"ProtectSystem", "ProtectHome", "ReadWritePaths", "StateDirectory", "RuntimeDirectory", "CacheDirectory", "LogsDirectory",
}

// Ask asks systemd about a unit.
func Ask(ctx context.Context, name string) (*Unit, error) {
	said, err := systemctl(ctx, append([]string{"show", name, "--property"}, strings.Join(properties, ","))...)
	if err != nil {
		return nil, err
	}
	u := Parse(name, said)
	if u.one("LoadState") != "loaded" {
		return nil, ErrNone
	}
	return u, nil
}

// Parse reads what "systemctl show" prints: a line for each property, and for each
// element of some lists.
func Parse(name, said string) *Unit {
	u := &Unit{Name: name, properties: map[string][]string{}}
	for line := range strings.Lines(said) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			u.properties[key] = append(u.properties[key], value)
		}
	}
	u.State, u.SubState, u.Result, u.Status = u.one("ActiveState"), u.one("SubState"), u.one("Result"), u.one("StatusText")
	u.Exit, _ = strconv.Atoi(u.one("ExecMainStatus"))
	u.Ended = u.one("ExecMainCode") != "0" && u.one("ExecMainCode") != ""
	u.Triggers = u.words("TriggeredBy")
	u.Condition = u.one("ConditionResult") != "no"
	u.files = append(u.words("FragmentPath"), u.words("DropInPaths")...)
	return u
}

// one is a property with one value.
func (u *Unit) one(key string) string { return strings.Join(u.properties[key], " ") }

// words is a property that is a list, wherever systemctl breaks it.
func (u *Unit) words(key string) []string { return split(u.one(key)) }

// split cuts a list into its words. systemctl puts one with a blank, a backslash or a quote
// in it into double quotes, as a shell takes them: the name of an instance that
// systemd-escape made, a directory with a blank in its path.
func split(list string) []string {
	var words []string
	var word strings.Builder
	quoted, begun := false, false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '"':
			quoted, begun = !quoted, true
		case c == '\\' && quoted && i+1 < len(list):
			i++
			word.WriteByte(list[i])
		case c == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}

// Runs says whether a process of the unit is there, or will be within moments.
func (u *Unit) Runs() bool { return runs(u.State) }

func runs(state string) bool {
	return state == "active" || state == "activating" || state == "reloading"
}

// Base is the name as people type it: airbridged, or airbridged@north.
func (u *Unit) Base() string { return strings.TrimSuffix(u.Name, ".service") }

// OwnGroups are the groups that the unit gives the daemon besides its own.
func (u *Unit) OwnGroups() []string { return u.words("SupplementaryGroups") }

// AllowsDevice says whether the unit lets the daemon open devices of a kind, such as
// char-gpiochip, or a path below /dev.
func (u *Unit) AllowsDevice(kind string) bool {
	if p := u.one("DevicePolicy"); (p == "" || p == "auto") && len(u.properties["DeviceAllow"]) == 0 {
		return true
	}
	return slices.ContainsFunc(u.properties["DeviceAllow"], func(line string) bool {
		name, access, _ := strings.Cut(line, " ")
		return (name == kind || name == "char-*") && strings.Contains(access, "w")
	})
}

// configuration is the path behind --config, or the daemon's default.
func (u *Unit) configuration() string {
	_, argv, _ := strings.Cut(u.one("ExecStart"), "argv[]=")
	argv, _, _ = strings.Cut(argv, " ; ")
	words := split(argv)
	if len(words) == 0 || path.Base(words[0]) != "airbridged" {
		return ""
	}
	for i, w := range words {
		if value, ok := strings.CutPrefix(strings.TrimPrefix(w, "-"), "-config="); ok {
			return value
		}
		if (w == "--config" || w == "-config") && i+1 < len(words) {
			return words[i+1]
		}
	}
	return "/etc/airbridged/airbridged.toml"
}

// Of finds the unit that runs the daemon with a configuration: the packaged one, the
// instance of the template that it belongs to, or one of another name that runs.
func Of(ctx context.Context, config string) (*Unit, error) {
	names := []string{"airbridged.service"}
	if base, ok := strings.CutSuffix(path.Base(config), ".toml"); ok && base != "airbridged" {
		names = append(names, "airbridged@"+base+".service")
	}
	said, err := systemctl(ctx, "list-units", "--all", "--plain", "--no-legend", "--type=service", "*airbridge*")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(said) {
		if f := strings.Fields(line); len(f) > 0 && !slices.Contains(names, f[0]) {
			names = append(names, f[0])
		}
	}
	var last error = ErrNone
	for _, name := range names {
		u, err := Ask(ctx, name)
		if err == nil && path.Clean(u.configuration()) == path.Clean(config) {
			return u, nil
		}
		if err != nil && !errors.Is(err, ErrNone) {
			last = err
		}
	}
	return nil, last
}

// Stop stops the unit, and before it all that would start it again: programs knock at
// any moment. start undoes that for those that were active; it is nil where none was.
func (u *Unit) Stop(ctx context.Context) (start func(context.Context) error, err error) {
	units := append(slices.Clone(u.Triggers), u.Name)
	var active []string
	for _, name := range units {
		state, err := systemctl(ctx, "show", "--value", "--property=ActiveState", name)
		if err != nil {
			return nil, err
		}
		if runs(strings.TrimSpace(state)) {
			active = append(active, name)
		}
	}
	if len(active) == 0 {
		return nil, nil
	}
	start = func(ctx context.Context) error {
		_, err := systemctlFor(ctx, jobTime, append([]string{"start"}, active...)...)
		return err
	}
	if _, err := systemctlFor(ctx, jobTime, append([]string{"stop"}, units...)...); err != nil {
		return nil, errors.Join(err, start(context.WithoutCancel(ctx)))
	}
	return start, nil
}

// jobTime bounds stopping and starting: the unit's own time-outs are shorter.
const jobTime = 2 * time.Minute

func systemctl(ctx context.Context, args ...string) (string, error) {
	return systemctlFor(ctx, askTime, args...)
}

func systemctlFor(ctx context.Context, limit time.Duration, args ...string) (string, error) {
	if _, err := os.Stat(running); err != nil {
		return "", ErrNone
	}
	program, err := exec.LookPath("systemctl")
	if err != nil {
		return "", ErrNone
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"--no-pager"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0")
	// Ctrl-C goes to the whole process group of a terminal; what is started again after
	// it is not to end by it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	said, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("systemctl %s: %w: %s", args[0], err, strings.TrimSpace(complaint.String()))
	}
	return string(said), nil
}

// Listens says whether a socket that starts the unit is open.
func (u *Unit) Listens(ctx context.Context) (bool, error) {
	for _, name := range u.Triggers {
		said, err := systemctl(ctx, "show", "--value", "--property=ActiveState", name)
		if err != nil {
			return false, err
		}
		if strings.TrimSpace(said) == "active" {
			return true, nil
		}
	}
	return false, nil
}

// endings are exit statuses that people look for: the daemon's own, and what systemd
// says when it could not even start it (systemd.exec(5)).
var endings = map[int]string{
	78:  "its configuration has mistakes",
	203: "the program cannot be run",
	208: "a drop-in names a working directory that is not there",
	216: "a group that the unit names does not exist",
	217: "the user airbridged does not exist",
	226: "a directory that ReadWritePaths= names is not there",
	243: "a credential that the unit names is not there",
}

// Ending says in words how the last process ended.
func (u *Unit) Ending() string {
	switch words, known := endings[u.Exit]; {
	case u.Result == "success":
		return "it ended in good order"
	case u.Result == "watchdog", u.Result == "oom-kill", u.Result == "start-limit-hit", u.Result == "timeout":
		return "systemd says " + u.Result
	case u.Result == "signal", u.Result == "core-dump":
		return fmt.Sprintf("signal %d ended it", u.Exit)
	case known:
		return fmt.Sprintf("exit status %d, %s", u.Exit, words)
	}
	return fmt.Sprintf("exit status %d", u.Exit)
}
