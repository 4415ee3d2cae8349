package main

import (
	"context"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"

	"go.uber.org/zap"

	"airbridged/internal/config"
	"airbridged/internal/session"
)

// reloads reads the configuration again on every SIGHUP until ctx ends.
func reloads(ctx context.Context, path string, running config.Config, s *session.Session, level zap.AtomicLevel, log *zap.Logger) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			running = reload(path, running, s, level, log)
		}
	}
}

// reload applies what can change while the daemon runs: the log level and the
// kept subscriptions. It is all or nothing: with a mistake in the files nothing
// changes. What needs a restart is named.
func reload(path string, running config.Config, s *session.Session, level zap.AtomicLevel, log *zap.Logger) config.Config {
	fresh, warnings, err := config.Load(path)
	if err != nil {
		log.Error("reload refused, nothing was changed", zap.Strings("mistakes", strings.Split(err.Error(), "\n")))
		return running
	}
	for _, w := range warnings {
		log.Warn("configuration", zap.String("detail", w.String()))
	}
	level.SetLevel(logLevel(fresh.Log.Level))
	s.Keep(filters(fresh.Subscribe))
	needs := restartSections(running, fresh)
	log.Info("reloaded", zap.String("log_level", fresh.Log.Level), zap.Int("subscriptions", len(fresh.Subscribe)), zap.Strings("needs_restart", needs))
	running.Log.Level, running.Subscribe = fresh.Log.Level, fresh.Subscribe
	return running
}

// restartSections names the sections that changed and that only a restart
// applies.
func restartSections(running, fresh config.Config) []string {
	fresh.Log.Level, fresh.Subscribe = running.Log.Level, running.Subscribe
	var changed []string
	was, is := reflect.ValueOf(running), reflect.ValueOf(fresh)
	for i := range was.NumField() {
		if !reflect.DeepEqual(was.Field(i).Interface(), is.Field(i).Interface()) {
			changed = append(changed, strings.ToLower(was.Type().Field(i).Name))
		}
	}
	return changed
}
