package metrics

import (
	"bytes"
	"os"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// storage is what the kernel counts of this process: bytes sent to the storage
// layer, in whole pages, whoever of its parts wrote them (write_bytes less
// cancelled_write_bytes, proc_pid_io(5)). It is the number that wears flash;
// what the outbox says it wrote is less, for a page is written again with every
// flush that adds to it.
type storage struct {
	path string // of /proc/self/io
}

var descStorage = describe("storage_written_bytes_total", "Bytes that the process sent to the storage layer, in whole pages, as the kernel counts; absent where it does not.")

// Describe is for the registry.
func (s storage) Describe(ch chan<- *prometheus.Desc) { ch <- descStorage }

// Collect is for the registry.
func (s storage) Collect(ch chan<- prometheus.Metric) {
	data, err := os.ReadFile(s.path)
	if err != nil {
		return
	}
	if n, ok := writtenBytes(data); ok {
		ch <- counter(descStorage, float64(n))
	}
}

func writtenBytes(data []byte) (n uint64, ok bool) {
	var cancelled uint64
	for line := range bytes.Lines(data) {
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(": "))
		v, err := strconv.ParseUint(string(value), 10, 64)
		if err != nil {
			continue
		}
		switch string(name) {
		case "write_bytes":
			n, ok = v, true
		case "cancelled_write_bytes":
			cancelled = v
		}
	}
	return n - min(n, cancelled), ok
}
