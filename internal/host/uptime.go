package host

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// Uptime is how long the machine has been running; very long when it cannot be
// told.
func Uptime() time.Duration {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return math.MaxInt64
	}
	return time.Duration(info.Uptime) * time.Second
}
