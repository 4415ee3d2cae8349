package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/access"
	"airbridged/internal/config"
	"airbridged/internal/host"
	"airbridged/internal/ipc"
	"airbridged/internal/passwords"
	"airbridged/internal/session"
	"airbridged/internal/wiring"
)

// applied are the keys that change while the daemon runs. All others need a
// restart.
var applied = []string{"access", "device.product_secret_file", "device.device_secret_file", "batch", "log.level", "mqtt.password_file", "web.password_file", "subscribe"}

// secrets are those of them that the cloud is shown: whoever corrects one does not want
// to wait for the next attempt.
var secrets = []string{"device.product_secret_file", "device.device_secret_file"}

// What is logged of a reload, every time.
const (
	reloadedLine = "reloaded"
	refusedLine  = "reload refused, nothing was changed"
)

// reloader reads the configuration again, on SIGHUP and on POST /v1/reload, and
// does the same for both.
type reloader struct {
	path    string
	session *session.Session
	named   *named
	rules   *access.Control
	level   zap.AtomicLevel
	log     *zap.Logger
	asks    chan chan<- reloaded

	running config.Config                  // in effect; owned by run
	places  config.Places                  // of what was read last; owned by run
	again   bool                           // the next attempt is to be made now; owned by run
	known   atomic.Pointer[passwords.File] // of MQTT programs on TCP
	viewers atomic.Pointer[passwords.File] // of the page
	told    atomic.Pointer[api.Config]     // running, for who asks
}

// reloaded is what a reload came to.
type reloaded struct {
	done api.Reloaded
	err  error
}

func newReloader(path string, running config.Config, places config.Places, s *session.Session, n *named, rules *access.Control, level zap.AtomicLevel, log *zap.Logger) *reloader {
	r := &reloader{path: path, session: s, named: n, rules: rules, level: level, log: log, asks: make(chan chan<- reloaded), running: running}
	r.tell(running, places, nil)
	r.known.Store(running.MQTT.Passwords)
	r.viewers.Store(running.Web.Passwords)
	return r
}

// passwords are those in effect; nil: none is asked for.
func (r *reloader) passwords() *passwords.File { return r.known.Load() }

// run reloads whenever it is asked to, until ctx ends.
func (r *reloader) run(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			if _, err := r.reload(); err == nil { // an error is logged
				_, _ = r.session.Reconnect(ctx) // too often is no matter: it tries by itself, too
			}
		case answer := <-r.asks:
			done, err := r.reload()
			answer <- reloaded{done, err}
			if r.again {
				_, _ = r.session.Reconnect(ctx)
			}
		}
	}
}

// ask has run reload, and waits for what comes of it. Error: ipc.Mistakes, or
// that of ctx.
func (r *reloader) ask(ctx context.Context) (api.Reloaded, error) {
	answer := make(chan reloaded, 1)
	select {
	case r.asks <- answer:
	case <-ctx.Done():
		return api.Reloaded{}, context.Cause(ctx)
	}
	select {
	case a := <-answer:
		return a.done, a.err
	case <-ctx.Done():
		return api.Reloaded{}, context.Cause(ctx)
	}
}

// reload is all or nothing: with a mistake in the files nothing changes. What
// needs a restart is named, and named again until there was one.
func (r *reloader) reload() (api.Reloaded, error) {
	r.again = false
	host.Notify(daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
	defer host.Notify(daemon.SdNotifyReady)
	fresh, places, warnings, err := config.LoadPlaced(r.path, config.Service{})
	if err != nil {
		mistakes := mistakesOf(err)
		r.log.Error(refusedLine, zap.Strings("mistakes", strings.Split(mistakes.Error(), "\n")))
		return api.Reloaded{}, mistakes
	}
	// Empty lists are [] in JSON, not null.
	done := api.Reloaded{Changed: []string{}, NeedsRestart: []string{}, Warnings: []string{}}
	changed := config.Changed(r.running, fresh)
	another := slices.ContainsFunc(changed, func(key string) bool { return key == "device.product_key" || key == "device.device_name" })
	for _, key := range changed {
		if slices.Contains(applied, key) && !(another && slices.Contains(secrets, key)) { // a secret goes with its device
			done.Changed = append(done.Changed, key)
		} else {
			done.NeedsRestart = append(done.NeedsRestart, key)
		}
	}
	for _, w := range warnings {
		done.Warnings = append(done.Warnings, w.String())
		r.log.Warn("configuration", zap.String("detail", w.String()))
	}
	r.level.SetLevel(host.LogLevel(fresh.Log.Level))
	r.named.in(fresh)
	r.rules.Set(accessRules(fresh.Access))
	r.running.Access = fresh.Access
	r.session.Subscribe(wiring.Filters(fresh.Subscribe))
	r.known.Store(fresh.MQTT.Passwords)
	if !another {
		r.secrets(fresh.Device)
	}
	r.viewers.Store(fresh.Web.Passwords)
	r.running.Web.PasswordFile = fresh.Web.PasswordFile
	r.running.Batch = fresh.Batch
	r.session.Batch(wiring.Batch(r.running)) // with the names in effect
	r.running.Log.Level, r.running.Subscribe, r.running.MQTT.PasswordFile = fresh.Log.Level, fresh.Subscribe, fresh.MQTT.PasswordFile
	r.tell(fresh, places, done.NeedsRestart)
	r.log.Info(reloadedLine, zap.Strings("changed", done.Changed), zap.Strings("needs_restart", done.NeedsRestart))
	return done, nil
}

// secrets puts those of a configuration into effect, and has them tried at once.
func (r *reloader) secrets(fresh config.Device) {
	d := &r.running.Device
	r.again = d.ProductSecret != fresh.ProductSecret || d.DeviceSecret != fresh.DeviceSecret
	*d = fresh
	r.session.Secrets(wiring.Device(*d))
}

// inEffect is the configuration in effect.
func (r *reloader) inEffect() api.Config { return *r.told.Load() }

// tell notes what is in effect for who asks: the running configuration, and where it
// stands in the files that were read now.
func (r *reloader) tell(fresh config.Config, places config.Places, needsRestart []string) {
	told := api.Config{Files: places.Files, Settings: []api.Setting{}, NeedsRestart: append([]string{}, needsRestart...)}
	for _, s := range config.InEffect(r.running.Settings(r.places), fresh.Settings(places)) {
		one := api.Setting{Key: s.Key, Value: s.Value}
		if s.Given {
			one.File, one.Line = s.At.File, s.At.Line
		}
		told.Settings = append(told.Settings, one)
	}
	r.places = places
	r.told.Store(&told)
}

// mistakesOf translates what config.Load says, which is always *config.Mistakes.
func mistakesOf(err error) ipc.Mistakes {
	found, ok := errors.AsType[*config.Mistakes](err)
	if !ok {
		return ipc.Mistakes{{Key: "file", Text: err.Error()}}
	}
	list := make(ipc.Mistakes, len(found.List))
	for i, m := range found.List {
		list[i] = api.Mistake{File: m.File, Line: m.Line, Column: m.Column, Key: m.Key, Text: m.Text}
	}
	return list
}
