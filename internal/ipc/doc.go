// Package ipc is the daemon's face to local programs: HTTP/1.1 with JSON on a
// Unix socket.
//
//	POST   /v1/publish?topic=T     body is the payload; qos, wait, ttl, priority, latest
//	GET    /v1/messages/{id}       what became of one message
//	GET    /v1/outbox              the messages that wait, a page of them; limit, after
//	DELETE /v1/outbox/{id}         give up one message
//	DELETE /v1/outbox?topic=F      give up every message on the topics of a filter
//	GET    /v1/subscribe?topic=F   a stream of downlink messages
//	GET    /v1/subscriptions       what messages are kept for
//	POST   /v1/subscriptions/{name}/ack   what was kept is done with
//	DELETE /v1/subscriptions/{name}       drop one, with what is kept for it
//	POST   /v1/rrpc/{id}           answer a request of the cloud that waits
//	GET    /v1/status              the daemon's status
//	GET    /v1/events              a stream of state changes and warnings
//	GET    /v1/trace               the last AT traffic, redacted; follow
//	POST   /v1/reload              reads the configuration again; root and the daemon's user only
//	POST   /v1/at                  one AT command; root and the daemon's user
//	POST   /v1/reconnect           make the next attempt now
//	POST   /v1/reprovision?yes=1   register the device once more; root
//	GET    /v1/config              the configuration in effect, and where each value stands
//	POST   /v1/reprovision         register the device once more; root
//	GET    /                       a page for people, see package web; what it reads is below /page/
//	GET    /healthz                200 while the supervisor makes progress, else 503
//	GET    /metrics                Prometheus text
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
// # The outbox
//
// GET /v1/outbox lists what is queued, in flight or held, in the order of
// acceptance, and in total how many there are on all pages:
//
//	{"messages":[{"id":"...","topic":"/pk/dn/update","qos":1,"priority":"normal","bytes":5,
//	 "accepted_at":"2026-11-22T08:00:00Z","expires_at":null,"attempts":0,"state":"queued"}],"total":1}
//
// bytes are those of the payload, which is not shown. limit is 1 to 1000, and
// 100 when absent. The next page is behind after=ID, with the last id of the
// page before; that message need not exist any more. A page with fewer messages
// than limit is the last. Pages are looked at one by one, so messages may come
// and go between two of them, but none that stays is missed or shown twice.
//
// A drop is answered {"dropped":n}, also with 0 for a filter that nothing falls
// under. The message in flight stays, because it may be at the cloud already: by
// its id it is refused as "in-flight" (409, with Retry-After), and a filter
// passes over it. A message in a final state is refused as "final-state" (409),
// an id that is not known as "unknown-message" (404). A filter must be given:
// everything is topic=%23. What was dropped has the state "dropped" and is
// counted under the reason "removed".
//
// # The trace
//
// GET /v1/trace is the flight recorder as NDJSON, oldest first; with follow=1 it
// goes on as a stream:
//
//	{"type":"traffic","seq":7,"at":"2026-11-22T08:00:00.1Z","elapsed_seconds":12.3,"dir":"tx","text":"AT+MPUB=[38 bytes],1,0,[12 bytes]","bytes":66}
//
// dir is tx (to the module), rx (from it) or note (a change of state and the
// like). elapsed_seconds counts from the daemon's start and does not follow the
// wall clock. A gap stands where a stream's reader was so slow that traffic was
// overwritten.
//
// # The module
//
// POST /v1/at gives the module one command, {"command":"AT+CSQ"}, and answers with
// what it says; an ERROR is an answer, too:
//
//	{"lines":["+CSQ: 22,99"],"final":"OK","ok":true,"took_seconds":0.02,"session_begins_anew":false}
//
// Commands that only ask are given as they are. All others are refused as
// "command-refused" (409) unless the body has "force":true, and then the session
// begins anew after it; those that take the line over, such as AT+CIPSEND, are
// refused in any case. It is "no-module" (503) while there is none that answers,
// and "module-busy" (503) when the session has no moment for it in 30 s.
//
// POST /v1/reprovision?yes=1 registers the device once more and answers
// {"state":"registered"} when the new secret is on disk, with the old one kept as
// the previous generation; or 202 {"state":"registering"} when that takes longer
// than 150 s; or "not-now" (409), "cloud-refused" (502), "no-module" and
// "module-busy" (503), and then the old secret is in use.
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
