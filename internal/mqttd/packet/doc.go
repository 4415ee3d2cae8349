// Package packet is the MQTT wire format: levels 3 (3.1), 4 (3.1.1) and 5, from
// bytes to packets and back. It is pure: no clock, no connection, no policy.
//
// Section numbers are those of the OASIS standards, "3.1.1" and "5.0". What they
// call malformed, or a protocol error that one packet alone shows, is refused
// with an [*Error]; what needs more than one packet to see is the caller's.
//
// Bounds: [Reader] allocates as bytes arrive and never more than the limit that
// it was given, whatever a packet says of its own length. Decoding allocates less
// than twice the body: lists (filters, properties) stay in the form of the wire
// and are read by walking over them.
package packet
