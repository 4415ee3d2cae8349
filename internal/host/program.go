package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// Bounds of a program that the configuration names: how long it may run, how long
// what it left behind may keep its output open, and how much of that is kept, in
// bytes.
const (
	programLimit  = 30 * time.Second
	programLinger = time.Second
	programOutput = 500
)

// RunProgram runs a program with its arguments as they are, without a shell, without
// the daemon's secrets in its environment, and in a process group of its own, which
// is killed whole when the time is over or when it has left something behind that
// holds its output. It returns the beginning of what it printed, on one line.
func RunProgram(ctx context.Context, command []string) (output string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, programLimit, fmt.Errorf("still running after %v, killed", programLimit))
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	killGroup := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel, cmd.WaitDelay = killGroup, programLinger
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "AIRBRIDGED_") || strings.HasPrefix(v, "CREDENTIALS_DIRECTORY=") || strings.HasPrefix(v, "NOTIFY_SOCKET=")
	})
	var printed beginning
	cmd.Stdout, cmd.Stderr = &printed, &printed
	err = cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) { // it ended well, and left something behind
		_ = killGroup()
		err = nil
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	output = printed.String()
	switch {
	case err == nil:
		return output, nil
	case output != "":
		err = fmt.Errorf("%w: %s", err, output)
	}
	return output, fmt.Errorf("%s: %w", command[0], err)
}

// beginning keeps the first bytes that are written to it.
type beginning struct{ kept []byte }

func (b *beginning) Write(p []byte) (int, error) {
	b.kept = append(b.kept, p[:min(len(p), programOutput-len(b.kept))]...)
	return len(p), nil
}

// String is what was kept on one line, without what a terminal or a log could
// stumble over.
func (b *beginning) String() string {
	text := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(b.kept), ""))
	return strings.TrimSpace(text)
}
