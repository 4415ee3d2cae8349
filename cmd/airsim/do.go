package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const doHelp = `usage: airsim do [--control PATH] COMMAND...

Gives one command to a running airsim and prints its answer. "airsim do help"
lists the commands. The socket is --control PATH or $` + controlVariable + `.
Exit codes: 64 the command is wrong, 69 no airsim answers.
`

// runDo is the client side of the control socket.
func runDo(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("airsim do", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	path := f.String("control", os.Getenv(controlVariable), "")
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(stdout, doHelp)
		return exitOK
	case err != nil:
	case f.NArg() == 0:
		err = errors.New("the command is missing")
	case *path == "":
		err = errors.New("no control socket: give --control PATH or set $" + controlVariable)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "airsim do: %v\n%s", err, doHelp)
		return exitUsage
	}
	status, text, err := post(ctx, *path, line(f.Args()))
	switch {
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "airsim do: no airsim answers at %s: %v\n", *path, reason(err))
		return exitUnavailable
	case status == http.StatusBadRequest:
		_, _ = fmt.Fprintf(stderr, "airsim do: %s", text)
		return exitUsage
	case status != http.StatusOK:
		_, _ = fmt.Fprintf(stderr, "airsim do: status %d: %s", status, text)
		return exitFailure
	}
	_, _ = io.WriteString(stdout, text)
	return exitOK
}

// reason is what the system says of a request that was not answered, without the call
// and the path, or that there was no answer in time.
func reason(err error) error {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	}
	return err
}

// line makes one command of the words that the shell has already split. A
// single word is taken as it is, so that a whole command can be quoted once.
func line(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w
		if w == "" || strings.ContainsAny(w, " \t\r\n\"#") {
			out[i] = quote(w)
		}
	}
	return strings.Join(out, " ")
}

// quote writes a word as the language reads it back.
func quote(w string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(w) {
		switch c := w[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20:
			b.WriteString(`\x` + strings.Repeat("0", 2-len(strconv.FormatInt(int64(c), 16))) + strconv.FormatInt(int64(c), 16))
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func post(ctx context.Context, path, command string) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://airsim/v1/do", strings.NewReader(command))
	if err != nil {
		return 0, "", err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, string(b), err
}
