package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// heldLine stands in for a line of the kernel: few machines that run tests have a
// GPIO chip to spare. What it does not cover is requestLine, which hands three
// options to the library.
type heldLine struct {
	begun time.Time
	did   []string
	fail  error // of setting it to 1
}

func (l *heldLine) SetValue(v int) error {
	l.did = append(l.did, fmt.Sprintf("%v %d", time.Since(l.begun), v))
	if v == 1 {
		return l.fail
	}
	return nil
}

func (l *heldLine) Close() error {
	l.did = append(l.did, "close")
	return nil
}

// The line is active for as long as every module needs, and let go of inactive,
// also when the daemon is asked to stop or the kernel refuses.
func TestPulse(t *testing.T) {
	stopping := errors.New("asked to stop")
	for _, c := range []struct {
		name  string
		fail  error
		stop  time.Duration
		wrong error
		did   []string
	}{
		{"pulse", nil, 0, nil, []string{"0s 1", "600ms 0", "close"}},
		{"asked to stop", nil, 100 * time.Millisecond, stopping, []string{"0s 1", "100ms 0", "close"}},
		{"the kernel refuses", syscall.EIO, 0, syscall.EIO, []string{"0s 1", "0s 0", "close"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.stop > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeoutCause(ctx, c.stop, stopping)
					defer cancel()
				}
				line := &heldLine{begun: time.Now(), fail: c.fail}
				err := pulse(ctx, resetPin{"gpiochip0", 17, true}, func(p resetPin) (outputLine, error) {
					if p != (resetPin{"gpiochip0", 17, true}) {
						t.Errorf("requested %+v", p)
					}
					return line, nil
				})
				if !errors.Is(err, c.wrong) || (err == nil) != (c.wrong == nil) {
					t.Errorf("error %v, want %v", err, c.wrong)
				}
				if !slices.Equal(line.did, c.did) {
					t.Errorf("did %v, want %v", line.did, c.did)
				}
			})
		})
	}
}

func TestParseResetPin(t *testing.T) {
	for text, want := range map[string]resetPin{
		"gpiochip0/17":             {"gpiochip0", 17, false},
		"gpiochip12/3/active-low":  {"gpiochip12", 3, true},
		"gpiochip0/255/active-low": {"gpiochip0", 255, true},
	} {
		if got := parseResetPin(text); got != want {
			t.Errorf("%s is %+v, want %+v", text, got, want)
		}
	}
}

// Every way in which a line cannot be had says what to do. The first is the real
// library's own.
func TestResetLineThatCannotBeHad(t *testing.T) {
	p := resetPin{"gpiochip9999", 4, false}
	if err := pulse(t.Context(), p, requestLine); err == nil || !strings.Contains(err.Error(), "there is no /dev/gpiochip9999") {
		t.Errorf("no such chip: %v", err)
	}
	for errno, want := range map[error]string{
		syscall.EACCES: "DeviceAllow", syscall.EPERM: "DeviceAllow", syscall.EBUSY: "gpioinfo gpiochip9999 names it",
		syscall.EINVAL: "lists its lines", syscall.ENOTTY: "no GPIO chip", syscall.EIO: "gpioinfo",
	} {
		err := pulse(t.Context(), p, func(resetPin) (outputLine, error) { return nil, fmt.Errorf("request: %w", errno) })
		if err == nil || !errors.Is(err, errno) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line 4 of gpiochip9999") {
			t.Errorf("%v: %v", errno, err)
		}
	}
}
