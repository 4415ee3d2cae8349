// Package e2e tests the programs as a stranger runs them: the real binaries on
// a real pseudo-terminal, the daemon's real socket, real brokers and clients.
// It holds nothing but tests.
package e2e
