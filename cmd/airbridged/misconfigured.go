package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"syscall"

	"airbridged/client/api"
	"airbridged/internal/config"
	"airbridged/internal/durable"
	"airbridged/internal/unit"
)

// service is what there is to know of the service that runs a configuration: this
// process, unless somebody else asks.
func service(path string, asked bool) config.Service {
	if asked && unit.Own() == "" {
		return unit.Service(context.Background(), path)
	}
	return unit.Self()
}

// misconfigured is what programs are told by a daemon that cannot run.
func misconfigured(err error) api.Problem {
	return api.Problem{
		Type: api.ProblemPrefix + api.Configuration, Title: "The configuration has mistakes, airbridged does not run", Status: http.StatusServiceUnavailable,
		Detail: err.Error(), Hint: "correct them and start it again: systemctl restart airbridged", Mistakes: mistakesOf(err),
	}
}

// cure adds to an error of the disk what only the service manager can change.
func cure(cfg config.Config, err error) string {
	if !errors.Is(err, syscall.EROFS) {
		return ""
	}
	for _, dir := range []string{cfg.State.Dir, cfg.Outbox.Dir, cfg.DownlinkDir()} {
		if hint := durable.SandboxHint(dir); hint != "" && strings.Contains(err.Error(), dir) {
			return " (" + hint + ")"
		}
	}
	return ""
}
