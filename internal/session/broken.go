package session

// Rules that the simulation switches off, one at a time, to prove that it would
// notice (internal/simulation/broken_test.go). Nothing else ever sets them: no
// option or configuration reaches them.
var (
	brokenBarrier     bool // after an unknown outcome the session goes on publishing
	brokenCredentials bool // a DeviceSecret is used before it is on disk
)
