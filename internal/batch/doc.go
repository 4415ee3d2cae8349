// Package batch makes one publish of several readings, and readings of a publish.
//
// A program publishes readings, one message each. On a topic with a [Rule] those that
// wait are put into one envelope, which may be compressed, and travel as the payload of
// one publish: what a line and a cloud limit is publishes a second, not bytes. A topic
// with a rule has one [Form], a lone reading too, so that a receiver needs no guess.
//
//	payload = encoding(compression(envelope(reading, reading, ...)))
//
// The package is pure: the same readings make the same bytes. It knows no queue, no
// module and no file. docs/batching.md has decoders for the other side.
package batch
