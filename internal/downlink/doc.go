// Package downlink keeps what comes down for programs that are away: named
// subscriptions of the socket API, persistent sessions of MQTT programs, and the
// [[subscribe]] topics that are kept before any program asked for them.
//
// The module acknowledges a message of the cloud at once, so what is not kept here is
// lost to a program that is just being restarted. It promises:
//
//   - What matches a filter that is kept is on disk before it is handed out, and stays
//     until it is acknowledged, over a kill and a power cut. After one of these, what
//     was acknowledged last may be handed out once more.
//   - Each subscription gets its messages in the order in which they came, and what was
//     handed out before is marked.
//   - Bounds ([Limits]): messages, bytes and age of all of them together. At the bound
//     the subscription that has most loses its oldest; so who never comes back takes the
//     room that nobody else needs, and no more. It is told: a warning, and a gap to who
//     reads by name.
//   - A disk that is full or fails loses nothing for who is connected: what cannot be
//     kept waits in memory, at most 256 messages and 1 MiB for each subscription, is
//     handed out once, and the newest gives way. It is told as a warning.
//   - The hub never waits for the disk, and nobody waits for a program.
//
// The messages are in an [outbox.Queue] of their own: its format, its recovery and its
// crash tests are theirs. A record's topic is the subscription's number, a blank, and the
// topic; its payload begins with eight bytes, little endian: when the module handed the
// message over, in nanoseconds since 1970.
//
// A subscription is a small file of JSON, NUMBER.json with sixteen hexadecimal digits.
// It is on disk before the first message is kept for it. Messages of a number that has
// no file are those of a subscription that was dropped.
//
// Goroutines: the committer of the queue, and one that tells the subscriptions what has
// arrived on the disk and writes their files. Run waits for both.
package downlink
