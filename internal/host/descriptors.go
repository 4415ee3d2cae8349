package host

import (
	"math"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// spareFiles are the descriptors that a daemon needs besides those of its
// programs' connections: queue and state, the port, the metrics' connections,
// those that are being told "too busy" or wait for a place, and what a child
// process takes.
const spareFiles = 256

// leastConns is served whatever the limit says: fewer would not be a service.
const leastConns = 32

// Connections returns how many of the wanted connections there are descriptors
// for (RLIMIT_NOFILE), for each of the listeners in proportion, and warns where
// that is fewer. So it is never a program's doing that a file cannot be opened.
func Connections(log *zap.Logger, wanted ...int) []int {
	limit := uint64(math.MaxUint64)
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) == nil {
		limit = r.Cur // as high as it goes: the runtime has raised it at the start
	}
	granted, fewer := connections(limit, wanted)
	if fewer {
		log.Warn("fewer connections are served than max_connections says", zap.Ints("connections", granted), zap.Uint64("open_files", limit),
			zap.String("detail", "raise the limit of open files (LimitNOFILE= in the unit, ulimit -n), or lower max_connections"))
	}
	return granted
}

func connections(limit uint64, wanted []int) (granted []int, fewer bool) {
	sum := 0
	for _, n := range wanted {
		sum += n
	}
	left := int(min(limit, math.MaxInt32)) - spareFiles
	for _, n := range wanted {
		if sum > left {
			n, fewer = min(n, max(leastConns, int(int64(n)*int64(max(left, 0))/int64(sum)))), true
		}
		granted = append(granted, n)
	}
	return granted, fewer
}
