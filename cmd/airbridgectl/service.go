package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"airbridged/internal/unit"
)

// configurationOf is where a daemon of the package has its configuration, by its socket;
// "" where the socket is nobody's of the package.
func configurationOf(socket string) string {
	if socket == "" {
		socket = os.Getenv("AIRBRIDGE_SOCKET")
	}
	if socket == "" {
		return defaultConfig
	}
	if dir, base := filepath.Split(socket); dir == "/run/airbridged/" && strings.HasSuffix(base, ".sock") {
		return "/etc/airbridged/" + strings.TrimSuffix(base, ".sock") + ".toml"
	}
	return ""
}

// unconfigured says whether nobody has written anything into a configuration that is
// there, so that its service does not start.
func unconfigured(config string) bool {
	info, err := os.Stat(config)
	if err != nil || info.Size() > 0 {
		return false
	}
	settings, err := filepath.Glob(config + ".d/*.toml")
	return err == nil && len(settings) == 0
}

// tellUnit says what keeps a daemon of the package from answering, as far as it shows
// from here.
func (e *env) tellUnit() {
	config := configurationOf(e.socket)
	if config == "" {
		return
	}
	if unconfigured(config) {
		e.note("it is not configured yet, and nothing starts before it is: write %s.d/site.toml (the README beside it shows how), then systemctl restart airbridged", config)
		return
	}
	u, err := unit.Of(context.WithoutCancel(e.ctx), config)
	if err != nil {
		return
	}
	e.note("%s", ofUnit(u))
}

// ofUnit tells what became of a service, and what to do.
func ofUnit(u *unit.Unit) string {
	switch {
	case u.State == "failed" || u.SubState == "auto-restart":
		words := fmt.Sprintf("%s failed", u.Name)
		if u.Ended {
			words += ": " + u.Ending()
		}
		return words + fmt.Sprintf("; journalctl -u %s -n 20 has its words", u.Base())
	case u.Runs():
		return u.Name + " is " + u.SubState + "; another socket is chosen with $AIRBRIDGE_SOCKET"
	}
	return fmt.Sprintf("%s is stopped; systemctl start %s.target starts it with its sockets", u.Name, u.Base())
}

// tellWoken says, before a question does so, that it will start a daemon that somebody
// stopped.
func (e *env) tellWoken(ctx context.Context) {
	config := configurationOf(e.socket)
	if config == "" || unconfigured(config) {
		return
	}
	if u, err := unit.Of(ctx, config); err == nil && u.State == "inactive" && len(u.Triggers) > 0 {
		if woken, err := u.Listens(ctx); err == nil && woken {
			e.note("%s was stopped, but programs that connect start it again, and so does this; systemctl stop %s.target stops it with its sockets", u.Name, u.Base())
		}
	}
}
