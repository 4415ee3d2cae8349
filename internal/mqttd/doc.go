// Package mqttd is the socket for MQTT programs: 3.1, 3.1.1 and 5. What they
// publish goes into the outbox, what the cloud sends comes out of the hub. It is
// no broker: a publish comes back to a local program only as the cloud sends it.
//
// Promises. PUBACK (for QoS 2: PUBREC) means that the message is on disk. Answers
// come in the order of what they answer, pings meanwhile. What cannot be kept now
// is held without an answer, within bounds; what can never go is refused, and
// never answered as a success. A client id belongs to the user who has it. A
// connection is answered by CONNACK before it is closed, and never refused for a
// reason that passes.
//
// How the libraries behave that this has to live with is in docs/mqtt.md.
//
// Goroutines: one accepts, one looks after what is due (wills, sessions that
// expire), one tells of the daemon's own state; each connection has one that reads
// and one that writes. Serve waits for all of them. Nothing here waits for a
// program while it holds a lock.
package mqttd
