package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/ipc/ipctest"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
	"airbridged/internal/secret"
	"airbridged/internal/unit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// configured writes a configuration, and returns its path and state directory.
func configured(t *testing.T) (path, state string) {
	t.Helper()
	t.Setenv("AIRBRIDGED_PRODUCT_SECRET", "VWll9fiYWKiwraBk")
	t.Setenv("AIRBRIDGE_SOCKET", "")
	dir := t.TempDir()
	state = filepath.Join(dir, "state")
	text := fmt.Sprintf("[modem]\ndevice = %q\n[device]\nproduct_key = \"b1KCi45LcCP\"\ndevice_name = \"gateway-1\"\n[state]\ndir = %q\n[outbox]\ndir = %q\n[socket]\npath = %q\n[mqtt]\nsocket = \"\"\n",
		filepath.Join(dir, "ttyUSB0"), state, filepath.Join(state, "outbox"), filepath.Join(dir, "none.sock"))
	path = filepath.Join(dir, "airbridged.toml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path, state
}

// about is what a report says of one check.
func about(t *testing.T, r Report, check string) Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("nothing is said of %s: %+v", check, r)
	return Finding{}
}

func wants(t *testing.T, r Report, check string, verdict Verdict, words string) {
	t.Helper()
	if f := about(t, r, check); f.Verdict != verdict || !strings.Contains(f.Detail+" -- "+f.Advice, words) {
		t.Errorf("%s: %s, %q -- %q; want %s, %q", check, f.Verdict, f.Detail, f.Advice, verdict, words)
	}
}

// asked is the report on a daemon with a status.
func asked(t *testing.T, o Options, change func(*bus.Status)) Report {
	t.Helper()
	d := ipctest.Start(nil)
	defer d.Stop()
	d.Board.Update(change)
	o.Socket = d.Socket
	r, err := Examine(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Every cause that a daemon may name is a failure of one check, with the daemon's
// own advice; what lies before it works, and what lies behind is not judged.
func TestEveryCauseFailsAtItsStage(t *testing.T) {
	path, _ := configured(t)
	stages := recovery.Stages()
	for _, cause := range recovery.Causes() {
		r := asked(t, Options{Config: path}, func(s *bus.Status) {
			s.State, s.Cause, s.Hint, s.Attempt = "recovering", string(cause), cause.Hint(), 3
		})
		stage := string(cause.Stage(""))
		i := slices.Index(stages, recovery.Stage(stage))
		if i < 0 {
			t.Errorf("%s has no stage", cause)
			continue
		}
		wants(t, r, stage, Fail, cause.Hint())
		wants(t, r, stage, Fail, string(cause)+", the last of 3 failures in a row") // of whatever causes: the count is not this one's
		for _, before := range stages[:i] {
			wants(t, r, string(before), OK, "")
		}
		for _, behind := range stages[i+1:] {
			wants(t, r, string(behind), Skipped, "because of the "+stage)
		}
		if r.OK || r.Mode != WithDaemon {
			t.Errorf("%s: %+v", cause, r)
		}
	}
}

// The first thing to do is the first thing that fails, because others need it; and where
// nothing does, the first warning that somebody can do something about.
func TestWhatToDoFirst(t *testing.T) {
	find := func(check string, verdict Verdict, advice string) Finding { return Finding{check, verdict, "", advice} }
	for _, c := range []struct {
		name  string
		found []Finding
		want  string
	}{
		{"all is well", []Finding{find(SIM, OK, "")}, ""},
		{"a failure behind a warning", []Finding{find(Signal, Warning, "antenna"), find(Bearer, Fail, "the APN"), find(Disk, Fail, "room")}, Bearer},
		{"a warning", []Finding{find(Signal, OK, ""), find(Clock, Warning, "set it")}, Clock},
		{"nothing to do about it", []Finding{find(Queue, Warning, "nothing to do: it drains"), find(Daemon, Warning, "")}, ""},
	} {
		if got := (Report{Findings: c.found}).first(); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	path, _ := configured(t)
	if r := asked(t, Options{Config: path}, func(s *bus.Status) {
		s.State, s.Cause, s.Hint = "recovering", "bearer-failed", "the APN"
	}); r.First != Bearer || r.About(r.First).Advice != "the APN" {
		t.Errorf("%+v", r)
	}
}

// Seen: an ordinary user of a healthy gateway was told that there is no secret anywhere.
// A daemon that does not answer him has read its configuration all the same.
func TestWhoMayNotAskIsNotToldOfMissingSecrets(t *testing.T) {
	path, _ := configured(t)
	t.Setenv("AIRBRIDGED_PRODUCT_SECRET", "")
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"type":%q,"status":403}`, api.ProblemPrefix+"not-permitted")
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	r, err := Examine(t.Context(), Options{Config: path, Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, r, Socket, Fail, "")
	wants(t, r, Configuration, OK, "no mistakes")
}

// A daemon on its way is not wrong.
func TestOnTheWay(t *testing.T) {
	path, _ := configured(t)
	for _, state := range recovery.States() {
		r := asked(t, Options{Config: path}, func(s *bus.Status) { s.State, s.Since = string(state), time.Now().Add(-3*time.Minute) })
		if !r.OK {
			t.Errorf("%s: %+v", state, r)
		}
		if stage := reached[state]; stage != "" {
			wants(t, r, string(stage), Warning, "since 3 min 0 s")
		}
	}
}

func TestOnline(t *testing.T) {
	path, state := configured(t)
	dbm := -71
	online := func(s *bus.Status) { s.State, s.Modem.SignalDBm = "online", &dbm }
	r := asked(t, Options{Config: path}, online)
	for _, f := range r.Findings {
		if f.Verdict != OK {
			t.Errorf("%+v", f)
		}
	}
	dbm = -103
	wants(t, asked(t, Options{Config: path}, online), Signal, Warning, "weak (-103 dBm)")
	dbm = -113
	wants(t, asked(t, Options{Config: path}, online), Signal, Fail, "antenna")

	aside := filepath.Join(state, "outbox", "quarantine")
	if err := os.MkdirAll(aside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(aside, "1.seg"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, asked(t, Options{Config: path}, online), Queue, Warning, "1 damaged files were set aside")
	wants(t, asked(t, Options{Config: path}, func(s *bus.Status) { s.State, s.Cause, s.Hint = "recovering", "disk-full", "free some" }), Disk, Fail, "free some")
}

func TestQueueOfADaemon(t *testing.T) {
	path, _ := configured(t)
	if err := os.Mkdir(path+".d", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path+".d", "small.toml"), []byte("[outbox]\nmax_messages = 3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	x := &examination{Options: Options{Config: path, now: time.Now}, ended: t.Context().Err}
	x.configuration(x.load(false), false)
	old := time.Now().Add(-time.Hour)
	x.status.State, x.status.Outbox.Messages, x.status.Outbox.OldestAt = "online", 2, &old
	x.queueOfDaemon()
	x.status.Outbox.Messages = 3
	x.queueOfDaemon()
	if got := x.report.Findings[1:]; got[0].Verdict != Warning || !strings.Contains(got[0].Detail, "online, but 2 messages wait, the oldest for 1 h 0 min") ||
		got[1].Verdict != Fail || !strings.Contains(got[1].Detail, "full") {
		t.Errorf("%+v", got)
	}
}

// What the daemon warns of lastingly is told with its advice, each once, also where all
// else is well.
func TestLastingWarnings(t *testing.T) {
	path, _ := configured(t)
	r := asked(t, Options{Config: path}, func(s *bus.Status) {
		s.State = "online"
		for _, code := range bus.WarningCodes() {
			s.Warnings = append(s.Warnings, api.Warning{Code: string(code), Detail: "what is wrong", Hint: "cure " + string(code)})
		}
	})
	for _, code := range bus.WarningCodes() {
		n := 0
		for _, f := range r.Findings {
			if f.Advice == "cure "+string(code) {
				n++
			}
		}
		if n != 1 && !strings.HasPrefix(string(code), "store-") { // the disk is one check
			t.Errorf("%s is told %d times", code, n)
		}
	}
	r = asked(t, Options{Config: path}, func(s *bus.Status) {
		s.State = "online"
		s.Warnings = []api.Warning{{Code: string(bus.ForeignQueue), Detail: "messages of device gw-1 wait: 3", Hint: "put that module back"}}
	})
	wants(t, r, Warnings, Warning, "foreign-queue: messages of device gw-1 wait: 3 -- put that module back")
	if !r.OK {
		t.Error("a warning fails nothing")
	}
}

func TestTokenWords(t *testing.T) {
	for age, want := range map[time.Duration]string{
		9 * time.Minute:    "valid, 6 days left",
		166 * time.Hour:    "valid, 2 h 0 min left",
		7 * 24 * time.Hour: "no longer valid; the daemon gets the next one when it needs it",
	} {
		if got := TokenWords(age); got != want {
			t.Errorf("%v: %q, want %q", age, got, want)
		}
	}
	path, _ := configured(t)
	wants(t, asked(t, Options{Config: path}, func(s *bus.Status) {
		age := int64(540)
		s.State, s.Cloud.Auth, s.Cloud.TokenAgeSeconds = "online", "https", &age
	}), Login, OK, "the token is valid, 6 days left")
}

func TestClock(t *testing.T) {
	for at, want := range map[time.Time]Finding{
		time.Date(1970, 1, 1, 0, 5, 0, 0, time.UTC):  {Clock, Warning, "it says 1970-01-01, which cannot be", "timedatectl"},
		time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC): {Clock, OK, "it says 2026-12-01 08:00:00 UTC", ""},
		time.Date(2106, 2, 7, 6, 28, 0, 0, time.UTC): {Clock, Warning, "it says 2106-02-07, which is far ahead", "timedatectl"},
	} {
		x := &examination{Options: Options{now: func() time.Time { return at }}, ended: t.Context().Err}
		x.clock()
		if f := x.report.Findings[0]; f.Verdict != want.Verdict || f.Detail != want.Detail || !strings.Contains(f.Advice, want.Advice) {
			t.Errorf("%+v", f)
		}
	}
}

// The network's time tells a clock that is wrong by less than years.
func TestClockAgainstTheNetwork(t *testing.T) {
	path, _ := configured(t)
	for offset, want := range map[time.Duration]Finding{
		2 * time.Second: {Verdict: OK, Detail: "it says "},
		time.Hour:       {Verdict: Warning, Detail: "which is 1 h 0 min behind the network's time"},
		-2 * time.Hour:  {Verdict: Warning, Detail: "ahead of the network's time"},
	} {
		r := asked(t, Options{Config: path}, func(s *bus.Status) {
			now := time.Now()
			s.State, s.NetworkTime = "online", &bus.NetworkTime{Told: now.Add(offset), At: now}
		})
		wants(t, r, Clock, want.Verdict, want.Detail)
	}
}

// What is stored decides whether the device will register, so it is told.
func TestIdentityOnDisk(t *testing.T) {
	path, state := configured(t)
	look := func() Report {
		t.Helper()
		r, err := Examine(t.Context(), Options{Config: path})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	wants(t, look(), Identity, Warning, "no device secret is stored yet")
	store, err := provision.Open(state)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		verdict Verdict
		words   string
	}{
		{"another", Warning, "holds the secret of device another of product b1KCi45LcCP, not of gateway-1"},
		{"gateway-1", OK, "the secret of device gateway-1 is stored"},
	} {
		if err := store.SaveDeviceSecret(provision.Identity{ProductKey: "b1KCi45LcCP", DeviceName: c.name}, secret.New("0123456789abcdef0123456789abcdef")); err != nil {
			t.Fatal(err)
		}
		wants(t, look(), Identity, c.verdict, c.words)
	}
	for _, name := range []string{"credentials.json", "credentials.prev.json"} {
		if err := os.WriteFile(filepath.Join(state, name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, look(), Identity, Fail, "damaged")
	if r := look(); r.OK || r.Mode != Alone {
		t.Errorf("%+v", r)
	}
}

// host is a made-up root of a file system.
func host(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestUSBSaysWhereTheModuleIs(t *testing.T) {
	path, _ := configured(t)
	const at = "/sys/bus/usb/devices/1-1.2/"
	for _, c := range []struct {
		files  map[string]string
		detail string
		advice string
	}{
		{map[string]string{at + "idVendor": "1d6b\n", at + "idProduct": "0002\n"}, "no serial port there", "plugged in"},
		{
			map[string]string{at + "idVendor": "19d1\n", at + "idProduct": "0001\n", at + "1-1.2:1.2/tty/ttyACM1/dev": "166:1\n"},
			"an Air780 module (EC618, EC718) (19d1:0001) is plugged in at USB 1-1.2 with the ports /dev/ttyACM1", "the one that answers AT",
		},
		{
			map[string]string{at + "idVendor": "1782\n", at + "idProduct": "4e00\n", at + "1-1.2:1.2/ttyUSB0/tty/ttyUSB0/dev": "188:0\n"},
			"with the ports /dev/ttyUSB0", "the one that answers AT",
		},
		{map[string]string{at + "idVendor": "1782\n", at + "idProduct": "4e00\n"}, "has no serial port", "echo 1782 4e00 >"},
		{map[string]string{at + "idVendor": "0525\n", at + "idProduct": "a4a7\n"}, "in download mode", "boot key"},
	} {
		r, err := Examine(t.Context(), Options{Config: path, root: host(t, c.files)})
		if err != nil {
			t.Fatal(err)
		}
		wants(t, r, SerialPort, Fail, c.detail)
		wants(t, r, SerialPort, Fail, c.advice)
	}
}

// of answers with a unit that systemd knows, and what it shows of it.
func of(shown string) func(context.Context, string) (*unit.Unit, error) {
	return func(context.Context, string) (*unit.Unit, error) { return unit.Parse("airbridged.service", shown), nil }
}

// Secrets that systemd hands to the daemon alone are no mistake of the configuration,
// in every form in which it has them; one that it does not hand over is, and the reason
// is named.
func TestSecretFromSystemd(t *testing.T) {
	path, _ := configured(t)
	t.Setenv("AIRBRIDGED_PRODUCT_SECRET", "")
	dir := t.TempDir()
	file := func(name, text string) string {
		f := filepath.Join(dir, name)
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	secret := file("product-secret", "VWll9fiYWKiwraBk\n")
	loads := file("unit", "[Service]\nLoadCredential=product-secret:"+secret+"\n")
	for _, c := range []struct {
		name    string
		files   []string
		verdict Verdict
		words   string
	}{
		{"no unit", nil, Fail, "no secret anywhere, name the file"},
		{"LoadCredential", []string{loads}, OK, "no mistakes"},
		{"its file is empty", []string{file("empty", "[Service]\nLoadCredential=product-secret:"+file("nothing", "")+"\n")}, Fail, "is empty"},
		{"its file is not there", []string{file("none", "[Service]\nLoadCredential=product-secret:airbridged.no-such\n")}, Fail, "write the ProductSecret into /etc/credstore/airbridged.no-such"},
		{"LoadCredentialEncrypted", []string{loads, file("encrypted", "[Service]\nLoadCredential=\nLoadCredentialEncrypted=product-secret:"+secret+"\n")}, OK, "no mistakes"},
		{"SetCredential", []string{file("set", "[Service]\nSetCredential=device-secret:0123456789abcdef\n")}, OK, "no mistakes"},
		{"SetCredentialEncrypted", []string{file("sealed", "[Service]\nSetCredentialEncrypted=product-secret: Whxqht+dQJax1aZ\n")}, OK, "no mistakes"},
		{"emptied by a container manager", []string{loads, file("zzz-lxc-service.conf", "[Service]\nLoadCredential=\n")}, Fail, secret + " is there, but systemd hands none over"},
	} {
		o := Options{Config: path, unit: unit.Of}
		if c.files != nil {
			o.unit = of("LoadState=loaded\nFragmentPath=" + c.files[0] + "\nDropInPaths=" + strings.Join(c.files[1:], " ") + "\n")
		}
		r, err := Examine(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if f := about(t, r, Configuration); f.Verdict != c.verdict || !strings.Contains(f.Detail, c.words) {
			t.Errorf("%s: %+v", c.name, f)
		}
		if text := fmt.Sprint(r); strings.Contains(text, "VWll9fiYWKiwraBk") {
			t.Error(text)
		}
	}
}

// A daemon that answers has its secret, wherever from: that nothing of it shows here is
// no mistake. What would keep it from starting once more is told, as that.
func TestTheDaemonThatRunsIsAsked(t *testing.T) {
	path, _ := configured(t)
	t.Setenv("AIRBRIDGED_PRODUCT_SECRET", "")
	online := func(s *bus.Status) { s.State = "online" }
	wants(t, asked(t, Options{Config: path}, online), Configuration, OK, "no mistakes")
	if err := os.WriteFile(path, []byte("[modem]\nbawd = 1\n[device]\nproduct_key = \"b1KCi45LcCP\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := asked(t, Options{Config: path}, online)
	wants(t, r, Configuration, Warning, "the daemon runs, and could not be started again: "+path+":2:1: modem.bawd: ")
	wants(t, r, Daemon, OK, "its state is online")
}

// A directory that the service's sandbox closes is a failure, with a daemon and without.
func TestDirectoriesThatTheServiceCloses(t *testing.T) {
	path, state := configured(t)
	closed := of("LoadState=loaded\nProtectSystem=strict\nStateDirectory=airbridged\n")
	online := func(s *bus.Status) { s.State = "online" }
	wants(t, asked(t, Options{Config: path, unit: closed}, online), Disk, Fail, "ReadWritePaths="+state)
	r, err := Examine(t.Context(), Options{Config: path, unit: closed})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, r, Configuration, Fail, "ReadWritePaths="+state)
	opened := of("LoadState=loaded\nProtectSystem=strict\nReadWritePaths=" + state + "\n")
	wants(t, asked(t, Options{Config: path, unit: opened}, online), Configuration, OK, "")
	wants(t, asked(t, Options{Config: path}, func(s *bus.Status) {
		s.State, s.Warnings = "online", []api.Warning{{Code: string(bus.StoreReadOnly), Detail: "outbox.dir: read-only file system", Hint: "open it"}}
	}), Disk, Fail, "open it")
}

// What systemd knows of a daemon that does not run: how it ended, and whether it was
// started at all.
func TestTheUnitsLastEnd(t *testing.T) {
	path, _ := configured(t)
	for shown, want := range map[string]string{
		"ActiveState=failed\nResult=exit-code\nExecMainCode=1\nExecMainStatus=78":                          "airbridged.service failed, exit status 78, its configuration has mistakes",
		"ActiveState=failed\nResult=exit-code\nExecMainCode=1\nExecMainStatus=243":                         "exit status 243, a credential that the unit names is not there",
		"ActiveState=activating\nSubState=auto-restart\nResult=signal\nExecMainCode=2\nExecMainStatus=9":   "airbridged.service failed, signal 9 ended it",
		"ActiveState=failed\nResult=watchdog\nExecMainCode=3\nExecMainStatus=6":                            "systemd says watchdog",
		"ActiveState=inactive\nResult=success\nExecMainCode=1\nExecMainStatus=0\nConditionResult=yes":      "airbridged.service is stopped, it ended in good order",
		"ActiveState=inactive\nResult=success\nExecMainCode=0\nExecMainStatus=0\nConditionResult=no":       "is not started before there is a configuration",
		"ActiveState=active\nSubState=running\nResult=success\nExecMainCode=0\nExecMainStatus=0":           "is running, but nobody listens",
		"ActiveState=inactive\nResult=success\nExecMainCode=0\nExecMainStatus=0\nConditionResult=yes\nx=y": "airbridged.service was not started",
	} {
		r, err := Examine(t.Context(), Options{Config: path, unit: of(shown)})
		if err != nil {
			t.Fatal(err)
		}
		if f := about(t, r, Daemon); f.Verdict == OK || !strings.Contains(f.Detail, want) {
			t.Errorf("%q: %+v", shown, f)
		}
	}
}

// The line that resets the module is looked at before it is needed: whether its chip is
// there, whether the unit lets the daemon open it, and whether its group does. Debian
// leaves chips to root alone.
func TestResetLine(t *testing.T) {
	path, _ := configured(t)
	if err := os.Mkdir(path+".d", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path+".d", "reset.toml"), []byte("[modem]\nreset_gpio = \"gpiochip0/17\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	chip := func(mode os.FileMode) string {
		root := t.TempDir()
		if err := os.Mkdir(root+"/dev", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+"/dev/gpiochip0", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(root+"/dev/gpiochip0", mode); err != nil {
			t.Fatal(err)
		}
		return root
	}
	const strict, gpio = "DevicePolicy=closed\nDeviceAllow=char-ttyUSB rw\n", "DevicePolicy=closed\nDeviceAllow=char-gpiochip rw\nSupplementaryGroups=gpio\n"
	for _, c := range []struct {
		name, root, unit string
		verdict          Verdict
		words            string
	}{
		{"no chip", t.TempDir(), gpio, Fail, "there is no /dev/gpiochip0"},
		{"the unit closes it", chip(0o666), strict, Fail, "gpio.conf"},
		{"root's alone", chip(0o600), gpio, Fail, "udevadm trigger --subsystem-match=gpio"},
		{"open", chip(0o666), gpio, OK, "may open it"},
	} {
		r, err := Examine(t.Context(), Options{Config: path, root: c.root, unit: of(c.unit)})
		if err != nil {
			t.Fatal(err)
		}
		if f := about(t, r, ResetLine); f.Verdict != c.verdict || !strings.Contains(f.Detail+f.Advice, c.words) {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

func TestFindingsAreToldAsTheyAreMade(t *testing.T) {
	path, _ := configured(t)
	var told []Finding
	r, err := Examine(t.Context(), Options{Config: path, Tell: func(f Finding) { told = append(told, f) }})
	if err != nil || !slices.Equal(told, r.Findings) || len(told) != 16 {
		t.Errorf("%d told, %d in the report, %v", len(told), len(r.Findings), err)
	}
}

// Somebody who has lost patience is not told that everything fails.
func TestInterrupted(t *testing.T) {
	path, _ := configured(t)
	ctx, stop := context.WithCancel(t.Context())
	r, err := Examine(ctx, Options{Config: path, Tell: func(Finding) { stop() }})
	if !errors.Is(err, context.Canceled) || len(r.Findings) != 1 || !r.OK {
		t.Errorf("%+v, %v", r, err)
	}
}
