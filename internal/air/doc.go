// Package air owns the dialect of the Luat/AirM2M Air modules: which AT command
// says what, how its arguments are written, what the answers and the unsolicited
// lines mean, and what a given firmware can carry.
//
// It promises:
//
//   - Nothing leaves its argument. A topic, a payload, a URL or a configuration
//     value with a quote or a control byte is refused before a byte is written.
//   - Nothing is mangled. A payload arrives at the cloud byte for byte, or is
//     refused with the byte and its offset; a downlink message is cut by its own
//     count, whatever it looks like.
//   - "OK" is only acceptance. Where the module reports the outcome later
//     (CONNECT OK, CONNACK OK, SUBACK, PUBACK, +HTTPACTION), the outcome is
//     awaited with its own deadline, counted from the command that asked for it.
//   - A failed parse is an error, never a zero value.
//
// It never decides what to do about a failure (package session does), never
// signs or reads a cloud's answer (package provision does), and never puts an
// argument, a body or a payload into an error or a log.
//
// [Modem] has one file for each concern; its methods read like the vendor's
// quick guide. Everything else in the package is pure.
package air
