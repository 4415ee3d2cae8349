// Package simulation proves the promises of ARCHITECTURE.md against everything that
// can go wrong, in virtual time. It holds tests only.
//
// One seed decides a day of one gateway: the module and its latencies, what programs
// publish and when they listen, which faults strike, when the disk fails, and when
// the daemon is stopped, killed or loses its power in the middle of a write. The
// production session, engine, dialect, credential store, outbox and hub run against
// the simulated module and cloud of airsim, on disks of simdisk.
//
// A referee sees both ends at all times: what programs were told, what the session
// took from the outbox and settled, what passed over the serial line, and what the
// cloud got. It stops the day at the first broken promise and shows how it came to
// that. `make simulate SEED=n` replays it.
package simulation
