// Package bus holds what the session and the local socket share, so that
// neither imports the other: the [Hub] that fans downlink messages out to local
// programs, the [StatusBoard] that carries the daemon's [Status] and
// its [api.Event] stream, and the [Flight] recorder with the last AT traffic.
//
// It promises that whoever publishes into it is never made to wait: every
// queue here is bounded, and a reader that is too slow is told how much it
// missed. It never does I/O, never starts a goroutine, and knows neither AT
// commands nor HTTP.
package bus
