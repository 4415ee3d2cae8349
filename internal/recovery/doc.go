// Package recovery decides what to do after a failure.
//
// It owns the closed set of causes: one row for each has all that is known of it
// (causes.go). [Next] and [Wait] are pure functions from a failure and its [History]
// to a rung, the state to go on in, and a wait; [Past] keeps that history for one
// session.
//
// It promises:
//   - every ladder that may end in a reset gets there, and none spends a reset that
//     the budget of the hour does not have;
//   - a wrong configuration or a refused credential never resets the module;
//   - waits are drawn at random, so that gateways that failed together do not come
//     back together.
//
// It never touches the module, the clock or the disk: it is told the time, and what
// has to outlive the process is handed out.
package recovery
