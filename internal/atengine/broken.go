package atengine

// brokenResync switches off that a command without an answer leaves the engine out
// of step. Only the simulation sets it, to prove that it would notice
// (internal/simulation/broken_test.go); no option reaches it.
var brokenResync bool
