package simulation

import (
	"slices"
	"time"
)

// A strike is a fault of the module, the line, the network or the cloud, with what
// mends it.
//
// Three faults that the simulator knows are left out, because nobody could tell: a
// PUBACK that the module had and prints only after the connection it came over was
// closed and another one was opened ("delay PUBACK", by however little: it may have come
// just before), a PUBACK that is none at all ("inject PUBACK"), and an answer "+CME
// ERROR: 50" that is not the publish's ("inject"), which may meet an answer that is lost.
// Nobody has reported a module that does it; docs/at-least-once.md tells of each.
type strike struct {
	order, mend string
	breaks      bool // it ends the session there and then, whatever else happens
	garbles     bool // what comes down may be damaged: the line has no checksum
}

// endsSession says whether an order ends the session by itself. A path that is dead
// and looks alive is not among them: only a publish shows it, or the keep-alive.
func endsSession(order string) bool {
	return order != "half-open" && slices.ContainsFunc(strikes, func(k strike) bool { return k.breaks && k.order == order })
}

func (k strike) kind() string {
	for i, c := range k.order {
		if c == ' ' {
			return k.order[:i]
		}
	}
	return k.order
}

var strikes = []strike{
	{order: "closed", breaks: true},
	{order: "silent-closed", breaks: true},
	{order: "half-open", breaks: true},
	{order: "close", breaks: true},
	{order: "reboot", breaks: true},
	{order: "brown-out 4 every=7s", breaks: true},
	{order: "silence 25s"},
	{order: "silence 3m", breaks: true},
	{order: "hang", breaks: true}, // the hard reset ends it
	{order: "unplug 20s", breaks: true},
	{order: "pdp-deact colon", breaks: true},
	{order: "pdp-deact plain", breaks: true},
	{order: "pdp-deact cgev", breaks: true},
	{order: "pdp-deact cgev stuck", breaks: true},
	{order: "sapbr-deact"},
	{order: "detach"},
	{order: "service lost", mend: "service back", breaks: true},
	{order: "sim removed", mend: "sim inserted", breaks: true},
	{order: "kick", breaks: true},
	{order: "outage on", mend: "outage off", breaks: true},
	{order: "expire-tokens"},
	{order: "throttle 1", mend: "throttle 0"},
	{order: "puback never"},
	{order: "puback late 33s"},
	{order: "puback late 90s"},
	{order: "drop PUBACK count=2"},
	{order: "drop OK prob=0.2 count=5"},
	{order: "drop CLOSED"},
	{order: "delay SUBACK 1s count=3"},
	{order: "corrupt OK count=2", garbles: true},
	{order: "corrupt PUBACK", garbles: true},
	{order: "split PUBACK 300ms count=5"},
	{order: "strip PUBACK count=3"},
	{order: "lose 7", garbles: true},
	{order: "lose 90", garbles: true},
	{order: "lose-in 3", garbles: true},
	{order: "garbage 200", garbles: true},
	{order: `inject "+CREG: 5"`},
	{order: "noise on every=1s", mend: "noise off"},
	{order: "prompt never"},
	{order: "prompt late 12s"},
	{order: "connect fail count=3"},
	{order: "connect never"},
	{order: "connack refuse"},
	{order: "connack close"},
	{order: "connack error"},
	{order: "connect error"},
	{order: "connect tcp"},
	{order: "suback error"},
	{order: "suback cme"},
	{order: "cmee 2"},
	{order: "gnss on", mend: "gnss off"},
	{order: "starting 20s"},
	{order: "rdy-twice on", mend: "rdy-twice off"},
	{order: `inject "+CGEV: ME PDN DEACT 5"`},
	{order: "connack never"},
	{order: "suback never"},
	{order: "bearer fail count=2"},
	{order: "http-status 603 count=2"},
	{order: "http-never"},
	{order: "auth 500 count=2"},
	{order: "late AT+MPUB 12s count=2"},
	{order: "mute AT+MQTTSTATU count=2"},
	{order: "error AT+MPUB count=2"},
	{order: "msub-lie 40", garbles: true},
	{order: "echo-cut CONNECT", garbles: true},
	{order: "power-off", breaks: true}, // the hard reset ends it
	{order: "unplug 20s hangup", breaks: true},
	{order: "stall 10s"},
	{order: "echo on"},
	{order: "echo-rejected count=3"},
	{order: `inject-raw "^boot.rom'v'!\\n"`, garbles: true},
	{order: "csq 99", mend: "csq 24"},
	{order: "dns lost", mend: "dns back"},
	{order: "attach never count=2"},
	{order: "bearer never"},
	{order: "http-lie 5"},
	{order: `http-body "<html>502</html>"`},
	{order: "register 500 count=2"},
	{order: "registration off", mend: "registration on"},
	{order: "auth 429 count=2"},
	{order: "disable", mend: "enable"},
	{order: "connects 2", mend: "connects 5"},
	{order: `delay "CONNACK OK" 20s`},
	{order: "unsuback never"},
	{order: "error AT+CGATT 100"},
	{order: "error AT+MSUB"},
	{order: "error AT+MCONFIG count=2"},
	{order: "mute AT+CSQ"},
	{order: "mute AT+MIPCLOSE"},
	{order: "late AT+CSQ 12s"},
	{order: "lose-in 1", garbles: true},
	{order: "puback dup count=3"},
	{order: "dup OK count=3"},
	{order: "dup ERROR"},
	{order: "dup PUBACK count=2"},
	{order: "inject OK"},
	{order: "inject ERROR"},
	{order: "on >AT+MPUB count=2 inject ERROR"},
	{order: `on >AT+MPUB inject "+CME ERROR: 767"`},
	{order: "on >AT+MPUB inject OK"},
	{order: "on >AT+MPUBEX inject ERROR"},
	{order: "on >> inject ERROR"},
	{order: "on >AT+MQTTSTATU inject ERROR"},
	{order: "on >AT+MSUB inject ERROR"},
	{order: "on >AT+MCONNECT inject ERROR"},
	{order: "on >AT+MQTTMODE inject ERROR"},
	{order: "on >AT+MQTTMODE inject OK"},
	{order: "error AT+MPUB 767 count=2"},
	{order: "error AT+MPUB 50 count=2"},
	{order: "error AT+MPUBEX count=2"},
	{order: "prompt late 900ms count=2"},
	{order: "late AT+MPUBEX 2s"},
	{order: "msub-lie 5", garbles: true},
	{order: "msub-lie -8 count=2", garbles: true},
	{order: "msub-lie -20 count=3", garbles: true},
	{order: "msub-lie 900", garbles: true},
	{order: "corrupt +MSUB count=4", garbles: true},
	{order: "shorten +MSUB 3 count=3", garbles: true},
	{order: "shorten +MSUB 25 count=3", garbles: true},
	{order: "shorten +MSUB 60 count=2", garbles: true},
	{order: "shorten +MSUB 90", garbles: true},
	{order: "split +MSUB 300ms count=3", garbles: true},
	{order: "split +MSUB 2s", garbles: true},
	{order: "strip +MSUB", garbles: true},
	{order: "drop +MSUB", garbles: true},
	{order: "dup +MSUB", garbles: true},
	{order: "delay +MSUB 700ms", garbles: true},
	{order: "shorten PUBACK 2"},
	{order: "http-lie -5"},
	{order: `http-body "{\r\nOK\r\n\r\nRDY\r\n\r\nPUBACK\r\n}"`},
	{order: `on "<+MSUB" reboot`},
	{order: `on "<+MSUB" closed`},
}

// The strikes against the daemon and its disks.
const (
	restart   = "restart"    // SIGTERM, and a new process
	kill      = "kill"       // SIGKILL: what was written survives
	killWrite = "kill-write" // the same in the middle of a call to the disk
	powerCut  = "power-cut"  // of daemon, disk and module
	cutWrite  = "cut-write"  // the same in the middle of a call to the disk
	diskFull  = "disk-full"  // the outbox's
	diskFails = "disk-fails" // it answers EIO, now and then

	diskReads    = "disk-reads"     // nothing of it can be read
	diskStarved  = "disk-starved"   // there is no descriptor, or no memory, to open a file
	diskReadOnly = "disk-read-only" // as after an error of the file system
	diskGone     = "disk-gone"      // something is mounted over it
	stateFull    = "state-full"     // the state directory's
)

var disasters = []string{restart, kill, killWrite, killWrite, powerCut, cutWrite, cutWrite, diskFull, diskFails, diskReads, diskStarved, diskReadOnly, diskGone, stateFull}

// restartAfter is systemd's RestartSec of the unit.
const restartAfter = 5 * time.Second
