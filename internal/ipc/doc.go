// Package ipc is the daemon's face to local programs: HTTP/1.1 with JSON on a
// Unix socket.
//
//	POST /v1/publish?topic=T     body is the payload; qos, wait, ttl, priority, latest
//	GET  /v1/messages/{id}       what became of one message
//	GET  /v1/subscribe?topic=F   a stream of downlink messages
//	GET  /v1/status              the daemon's status
//	GET  /v1/events              a stream of state changes and warnings
//	GET  /healthz                200 while the supervisor makes progress, else 503
//	GET  /metrics                Prometheus text
//
// It owns the socket file, the connections and the streams. It promises that a
// publish is answered 202 or 200 only after the outbox has accepted it, that
// every other answer means "not kept", that nobody who publishes downlink
// messages ever waits for a slow reader, and that connections, streams, bodies
// and waits are all bounded. It never talks to the module or the cloud, and it
// never trusts a byte that came from a client: topics, filters and options are
// checked before anything is kept.
//
// # Errors
//
// Every refusal is application/problem+json (RFC 9457) with type, title,
// status, detail and hint. The type is "urn:airbridged:problem:" and one of the
// names in problem.go; it is stable, so programs may compare it. What is not
// even HTTP is answered by net/http itself, in plain text.
//
// # Streams
//
// A stream is one JSON object per line (NDJSON), or with "Accept:
// text/event-stream" the same objects as server-sent events whose event name is
// the object's type. A subscription begins with
//
//	{"type":"subscribed","topics":[{"topic":"/pk/dn/get","granted":true}]}
//
// where granted says whether the cloud has acknowledged the filter by now. Then
// come, in any order,
//
//	{"type":"message","topic":"/pk/dn/get","payload":"on","encoding":"utf-8","received_at":"2026-11-22T08:00:00Z"}
//	{"type":"granted","topic":"/pk/dn/get"}
//	{"type":"gap","dropped":3}
//	{"type":"heartbeat","at":"2026-11-22T08:00:15Z"}
//
// A payload that is not valid UTF-8 comes as "encoding":"base64". A filter is
// granted anew after every reconnect, so a granted line may repeat. Heartbeats
// come every 15 s whatever else does. When the daemon stops, what was received
// before is still handed out, and the last line is
//
//	{"type":"end","reason":"stopping"}
//
// A stream that ends without it broke. A reader that takes nothing for 10 s
// while there is something to take is cut off.
package ipc
