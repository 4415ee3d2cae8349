package airsim

import "time"

// Options says which module to build and how it is wired up.
type Options struct {
	// Personality is the firmware family: one of [Personalities].
	Personality string
	// Firmware is the name that AT+CGMR and ATI give; empty is the personality's.
	Firmware string
	// MaxPayload is the largest MPUB and MPUBEX, in bytes; 0 is the personality's.
	MaxPayload int
	// IMEI is what AT+CGSN answers; empty is the guide's device name.
	IMEI string
	// ICCID is what AT+CCID answers; empty is a number of the right form.
	ICCID string
	// Operator is what AT+COPS? answers; empty is "CHINA MOBILE".
	Operator string
	// Baud is the speed of the line in bits a second, ten to a byte; 0 moves
	// bytes without delay. It is also the rate a module without autobaud
	// listens at (115200 when 0).
	Baud int
	// RTT is the radio round trip to the cloud. A TLS connection takes three
	// of them, an HTTPS request five, an acknowledgement one.
	RTT time.Duration
	// Latency adds waits like those in the vendor's logs: two seconds for an
	// HTTPS request, a third of a second for a PUBACK, a boot that takes time.
	// Without it and without RTT everything answers at once.
	Latency bool
	// Seed decides everything random: equal seeds and equal input give equal
	// output.
	Seed uint64
	// NoSIM starts without a SIM card.
	NoSIM bool
	// APN is the only access point that opens the bearer; empty takes any.
	APN string
	// APNUser and APNPassword are the login that APN wants; empty: none.
	APNUser, APNPassword string
	// CSQ is the signal as AT+CSQ gives it, 0-31, 99 unknown; 0 is 24.
	CSQ int
	// Log is called with every transcript entry, in order, from the goroutine
	// in Run or Serve, with no lock held.
	Log func(dir, text string)
}

// The directions of a transcript [Entry].
const (
	DirCommand = ">"  // a command line from the host, without its CR
	DirData    = ">>" // the bytes of one data phase
	DirLine    = "<"  // a line, block or prompt from the module, without CR LF
	DirNote    = "!"  // something that happened elsewhere: a fault, a reboot, a kick
)

// Entry is one line of the transcript. At is the time on the wire: when the last
// byte arrived or will have left.
type Entry struct {
	At   time.Time
	Dir  string
	Text string
}

// maxTranscript bounds what Transcript keeps; the oldest entries go first.
const maxTranscript = 1 << 16

// transcript is a bounded record of the dialogue.
type transcript struct {
	entries []Entry
	dropped int
}

func (t *transcript) add(e Entry) {
	if len(t.entries) >= maxTranscript {
		// A quarter at a time, so that the copy is rare.
		n := maxTranscript / 4
		t.entries = append(t.entries[:0], t.entries[n:]...)
		t.dropped += n
	}
	t.entries = append(t.entries, e)
}
