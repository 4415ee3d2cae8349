// Package outbox owns the messages between "accepted" and "the cloud has it".
//
// It promises:
//
//   - An accepted QoS 1 message (state queued) leaves only in a final state:
//     acked, rejected, expired, or dropped for a reason that is counted.
//     A queue of [Open] has it on disk when [Queue.Append] returns: it survives
//     a kill and a power cut. One of [New] lives in memory.
//   - Order: the most important level first; inside a level the message accepted
//     first. QoS 0 and QoS 1 of one level share that order, so a program that
//     mixes them keeps its sequence. Only where the disk cannot be read at the moment
//     does QoS 0, which is in memory, not wait for it.
//   - One message is in flight at a time: [Queue.Take] hands out nothing until
//     [Queue.Done] or [Queue.Release] settled the one before. A PUBACK line of
//     the module has no id (Air AT manual 1.6.3, AT+MPUB), so with two in flight
//     an acknowledgement could be credited to the wrong one.
//   - A released message keeps its place, and is the next of its level. A Latest
//     message has the place of what it replaced.
//   - A failed read is no verdict: only a record whose checksum fails again when it
//     is read from the disk once more is damaged, and then its file is kept. What
//     cannot be read is waited for; after ten minutes others pass it.
//   - What is told to be kept is where the next process finds it: every commit looks
//     whether the directory's path still leads to the file that was written.
//   - The one in flight can not be dropped, replaced or expired: its fate is
//     being decided at the cloud. What would have befallen it does so on Release.
//   - Bounds, each with its rule. QoS 1: Limits.Messages and Limits.Bytes, then
//     reject, or drop the oldest of the least important level (never one more
//     important than the newcomer, which is rejected then); on disk in addition
//     half of the file system, and a twentieth of it (at most 64 MiB) stays free,
//     by the same rules. Files are at most twice as long as what waits in them, and
//     four segments. QoS 0: a ring of its own in memory that drops its oldest. Final
//     states: the last 10,000 are remembered. Idempotency keys: the last 10,000, with
//     their final states, over restarts. A message costs 56 bytes of memory, 60 if it
//     can expire; payloads stay on the disk.
//   - Whose a message is, it says for ever. An owner may have a share of the bounds; one
//     that may end his own messages alone (OwnOnly) makes room of these, or of those of
//     whoever has more than he.
//   - What was accepted while another device was here, and carries its names in its
//     topic, is not handed out as this one's ([Queue.Device]): it waits, and gives way
//     to nothing.
//   - What [Queue.HoldBack] keeps from going out stays in its place, under the same
//     bounds and times to live.
//   - An expired message is seen by nobody any more, though no goroutine looks
//     for it: every call sweeps first. Expiry counts monotonic time, so setting
//     the clock, usual on a gateway after power-on, expires nothing.
//
// It never checks a topic, and calls nothing back but the recorder of Options.
//
// # Repeats
//
// Append waits for the disk; Done does not. So a restart sends again at most
// what was in flight and the last settlements that were not on disk yet: those
// of the last commit window, at most 16 however long it is, for Done waits when
// more are outstanding. At most 16 messages repeat, and those of the publish in
// flight: 17 where each is a publish of its own ([MaxRepeats]); with a window of 0
// and a disk faster than the module it is those of two publishes. Only while the disk fails are
// there more: the queue then drains all the same.
//
// # Time to live over a restart
//
// A record carries its wall clock time of origin and of expiry. A message that
// is read back lives for what was left at that moment, but never longer than its
// whole time to live: a clock that is behind its origin, usual before the first
// time signal, counts as no time passed, and so does one that is more than five
// years ahead of it. One whose origin is before 2026 was accepted before the clock
// was set; nobody knows its age, and its time to live begins anew. From then on
// monotonic time counts.
//
// When the clock is set while messages wait, their origins are in terms of a clock
// that was wrong. The file clock says so, for the next start: JSON, a list of by how
// many nanoseconds the clock was set, with the sequence numbers of the messages that
// the process had accepted until then.
//
// # Format, version 2
//
// The directory is locked (flock, one writer), and holds a file lock, which is
// what earlier programs lock, segments NUMBER.seg with NUMBER in 16 lower-case
// hexadecimal digits, ascending by age, at most one file spare (a segment to be used
// again), clock (see above), keys and devices (see below), and quarantine/ with damaged
// segments.
// Numbers are little endian. A checksum is CRC-32C (Castagnoli).
//
// Version 1 is version 2 without what is marked so here. It is what is written as
// long as nothing of that is needed, so that an earlier program reads it.
//
// A segment is 512 KiB, longer only when a single record needs it, shorter when
// it was cut to its content. It begins with eight sectors of 512 bytes:
//
//	sector 0        header
//	sectors 1 to 6  which records are settled
//	sector 7        the header once more
//
// Header:
//
//	 0  8  "ABOUTBOX"
//	 8  4  format version; a reader refuses a greater one
//	12  4  checksum of the 512 bytes, these four taken as zero
//	16  8  number, the one in the file name; if not, the file is a left-over
//	24  8  nonce, random: makes records of earlier uses of the file invalid
//	32  8  least sequence number that can occur
//	40  8  number of the segment before, and
//	48  8  how many records it has, so that a damaged end is noticed
//	56  8  version 2: it stands for the segments up to this number too, which
//	       are left-overs if they are there; 0: for itself alone
//	64  8  version 2: of such a one, how many records it has
//	72     zero
//
// A settled sector: 508 bytes of bits, the lowest first, and the checksum of
// nonce (8 bytes), sector number (8 bytes) and these 508. A sector of zeros is
// valid too. Record i has bit i mod 4064 of sector 1 + i / 4064. One bit is for
// acked, rejected, expired, dropped alike: the message is not to be sent. The
// bits are the acknowledgement cursor: they are allocated with the segment and
// written in place, so a full disk still drains. A sector with a wrong checksum
// counts as zeros: repeated rather than lost.
//
// Records follow from byte 4096, each at a multiple of 8:
//
//	 0  4  checksum of nonce (8 bytes) and of the bytes from 4 to length
//	 4  4  length, without padding
//	 8  8  sequence number, ascending over all segments
//	16  8  origin, nanoseconds since 1970
//	24  8  expiry, nanoseconds since 1970; 0: never
//	32  2  ordinal: how many records of the segment come before
//	34  1  priority
//	35  1  flags; 1: latest; 2: there are extras (version 2);
//	         4: of latest, it replaces messages of its owner alone
//	36  2  length of the topic
//	38  2  length of the extras
//	40     topic, then extras, then payload
//
// Extras are each a byte of tag, a byte of length, and so many bytes: 1, four bytes
// of user and an idempotency key; 2, eight bytes that the message's id ends with,
// where they are not those of the segment's nonce; 3, eight bytes of sequence number
// in whose place it is sent; 4, four bytes of uid of the owner, where that is a user; 5,
// the owner's name, else. Others are passed over.
//
// A record that does not check ends the segment, unless a later one checks
// (same nonce, greater ordinal and sequence number): then what lies between is
// damaged, what follows is kept, the segment is linked into quarantine/ and the
// damage is counted. What an unfinished commit leaves behind looks the same and
// is kept in the same way: it was submitted, and nobody was told of a failure.
//
// A message id is sequence number and the last seven bytes of the nonce, both
// big endian, as 24 characters of base32hex: unique for ever, ascending with
// acceptance. A sequence number is the time in microseconds, but always greater
// than the one before.
//
// The file devices says which devices were here: JSON, a list of who came after which
// sequence number, and a list of orders to send what was accepted as one device's, up
// to a sequence number, as another's. At most 64 of each. A directory without it was
// written by an earlier program.
//
// The file keys has places of 128 bytes, one for each key that is known; those of
// messages that have ended are in it, the others in their records. See
// keyEntry.encode. A sector of it is on disk before the settled bit of a message
// whose key is in it.
//
// # Survivors
//
// Where the files are more than twice as long as what waits in them, and four
// segments, what waits in segments in a row of which less than half is left is
// written into a new file, which then takes the name of the first of them. Records
// keep their sequence numbers and ids. In the same way what is left in a directory
// that was taken away is brought to the one that is there now.
//
// # Durability
//
// One committer, the goroutine in [Queue.Run], writes. All who wait share one
// write and one fdatasync. A segment is allocated, or an old one reused, synced,
// renamed to its name and the directory synced before its first record. Small
// commits write zeros 64 KiB ahead, so that the next ones change no metadata. After a failed write or sync nothing is
// appended to that file any more: what waits gets ErrDisk, the file is cut to
// what was accepted before, and the next commit begins a new segment. Settled
// bits are always written as whole sectors from memory, so trying that again is
// sound. The committer never appends to a file that an earlier process wrote.
package outbox
