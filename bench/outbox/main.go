// Command outbox measures the durable queue beside bbolt and SQLite, on the same
// disk in the same run: make bench.
//
// It is a module of its own, so that the other two stores are not among the
// daemon's dependencies. Every append is durable when it returns. Figures of one
// run compare; absolute ones say more about the disk.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// The message that is measured with.
const (
	topic       = "/b1KCi45LcCP/862991419835241/update"
	payloadSize = 256
)

func main() {
	dir := flag.String("dir", "", "directory on the disk to measure (default: a temporary one)")
	each := flag.Duration("time", 2*time.Second, "how long each rate is measured")
	flag.Parse()
	if err := run(*dir, *each); err != nil {
		fmt.Fprintln(os.Stderr, "outbox bench:", err)
		os.Exit(1)
	}
}

func run(dir string, each time.Duration) error {
	dir, err := os.MkdirTemp(dir, "outbox-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("%d-byte payloads, topic of %d bytes, in %s\n", payloadSize, len(topic), dir)
	n := 0
	fresh := func() string { n++; return filepath.Join(dir, fmt.Sprint(n)) }
	for _, step := range []func(func() string, time.Duration) error{rates, lone, bytesWritten, drain, backlog} {
		if err := step(fresh, each); err != nil {
			return err
		}
	}
	return nil
}
