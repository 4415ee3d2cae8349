package session_test

import (
	"strings"
	"time"

	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// What the module and the cable to it do.
func moduleWedges() []wedge {
	return []wedge{
		{
			name: "command without an answer", field: "the module swallows a command and goes on as if nothing were",
			noticed: "the command's deadline; AT must then be answered by one OK",
			strike:  []string{"mute AT+MQTTSTATU"}, causes: []recovery.Cause{recovery.OutOfSync},
		},
		{
			name: "answer after its deadline", field: "a busy module answers a publish 12 s late",
			noticed: "the command's deadline; the late OK is drained and credited to nobody",
			strike:  []string{"late AT+MPUB 12s"}, publish: "held", causes: []recovery.Cause{recovery.OutOfSync},
		},
		{
			name: "answer lost", field: "the UART drops the OK of a publish",
			noticed: "the command's deadline",
			strike:  []string{"drop OK"}, publish: "held", causes: []recovery.Cause{recovery.OutOfSync},
		},
		{
			name: "answer garbled", field: "a bit of the OK of a publish flips on the cable",
			noticed: "the command's deadline",
			strike:  []string{"corrupt OK"}, publish: "held", causes: []recovery.Cause{recovery.OutOfSync},
		},
		{
			name: "command garbled", field: "the module loses three bytes of a publish",
			noticed: "ERROR though the link is up, which proves nothing",
			strike:  []string{"lose-in 3"}, publish: "held", causes: []recovery.Cause{recovery.DoubtfulAnswer},
		},
		{
			name: "bytes lost", field: "the UART drops the next 90 bytes from the module, whatever they are",
			noticed: "the command's deadline, or that of PUBACK",
			strike:  []string{"lose 40"}, publish: "held",
			causes: []recovery.Cause{recovery.OutOfSync, recovery.PubAckTimeout},
		},
		{
			name: "noise", field: "unsolicited lines, some malformed, ten a second, for a minute",
			noticed: "nothing to notice: lines that are nobody's answer are counted and dropped",
			kind:    ridden, strike: []string{"noise on every=100ms"}, publish: "held", lasts: time.Minute, mend: []string{"noise off"},
		},
		{
			name: "line without an end", field: "20,000 bytes without a line end: a log port, or a wrong speed",
			noticed: "one over-long line, counted, in bounded memory; what stands behind it is not believed, so the command's deadline",
			hook:    func(w *wedged) { w.order("inject-raw " + strings.Repeat("x", 20000)) }, publish: "held",
			causes: []recovery.Cause{recovery.OutOfSync, recovery.DoubtfulAnswer},
		},
		{
			name: "length that lies", field: "a +MSUB announces 40 bytes more than it brings, while a publish waits for its answer",
			noticed: "the block's deadline; nothing in it is believed, so that the publish has an unknown outcome; one message down is lost",
			strike:  []string{"msub-lie 40", "push " + get + " lost"}, publish: "held", causes: []recovery.Cause{recovery.DoubtfulAnswer, recovery.OutOfSync},
		},
		{
			name: "echo cut in two", field: "an event is printed in the middle of the echo of a command",
			noticed: "nothing to notice",
			kind:    ridden, strike: []string{"echo on", `echo-cut "+CREG: 5"`, "echo off"}, publish: "held",
		},
		{
			name: "silent module", field: "the module neither takes nor says anything for 40 s",
			noticed: "the deadline of the next command; then no OK for AT, and a reset after 30 s of silence",
			strike:  []string{"silence 40s"}, lasts: 40 * time.Second, causes: []recovery.Cause{recovery.OutOfSync}, resets: 1,
		},
		{
			name: "hung module", field: "the firmware hangs until somebody pulls its reset line",
			noticed: "the status poll's deadline; then no OK at any speed, and no boot was announced: it is reset once it was silent for 30 s, or twice its longest boot",
			strike:  []string{"hang"}, causes: []recovery.Cause{recovery.OutOfSync},
			resets: 1,
		},
		{
			name: "module switches itself off", field: "its supply sags, it says so and goes; the reset line starts it",
			noticed: "the line, at once; then no OK at any speed, and a reset",
			strike:  []string{"power-off under-voltage"}, causes: []recovery.Cause{recovery.ModuleOff},
			resets: 1,
		},
		{
			name: "dead module", field: "the module is dead for 3 hours, whatever is pulled; then it is replaced",
			noticed: "as a hung module; resets are spent as long as the budget allows, and the port is opened again and again",
			kind:    outside, strike: []string{"hang"}, dead: true, lasts: 3 * time.Hour, mend: []string{"reset"},
			causes: []recovery.Cause{recovery.OutOfSync}, resets: 6,
		},
		{
			name: "module without power", field: "the module's supply fails for a minute",
			noticed: "the deadline of the next command; then no OK for AT, and a reset after 30 s of silence",
			strike:  []string{"power-off"}, lasts: time.Minute, mend: []string{"reset"},
			causes: []recovery.Cause{recovery.OutOfSync}, resets: 1,
		},
		{
			name: "silent restart", field: "the module restarts by itself; its boot lines come before the speed is trained",
			noticed: "boot lines where they are visible, else the echo that is back with the next status poll",
			strike:  []string{"reboot"}, causes: []recovery.Cause{recovery.Rebooted, recovery.OutOfSync},
		},
		{
			name: "restart in the middle of a publish", field: "the radio's current peak resets the module",
			noticed: "the boot lines, or the command's deadline",
			strike:  []string{"on >AT+MPUB reboot"}, publish: "held",
			causes: []recovery.Cause{recovery.Rebooted, recovery.OutOfSync},
		},
		{
			name: "brown-out loop", field: "a weak supply restarts the module every 7 s, eight times",
			noticed: "the boot lines, the echo, or silence; every restart begins at probing",
			strike:  []string{"brown-out 8 every=7s"}, lasts: 7 * 7 * time.Second,
			causes: []recovery.Cause{recovery.Rebooted, recovery.OutOfSync}, recover: 2 * time.Minute,
		},
		{
			name: "lost settings", field: "the module forgets its settings without a boot line; the echo is back",
			noticed: "the echo of the status poll",
			strike:  []string{"echo on"}, causes: []recovery.Cause{recovery.Rebooted},
		},
		{
			name: "another speed after a restart", field: "the module comes back at 9600 baud, as it was once told to",
			noticed: "no OK at the speed so far; all usual speeds are trained",
			strike:  []string{"baud 9600 saved", "reboot"}, only: []string{"air780e", "air780ep"},
			setup:  setup{session: func(o *session.Options) { o.Modem.Baud = 0 }},
			causes: []recovery.Cause{recovery.OutOfSync, recovery.Rebooted},
		},
		{
			name: "stuck data phase", field: "the prompt of MPUBEX is lost, and the module swallows what comes for 20 s",
			noticed: "the command's deadline; nothing is written until the data phase is over",
			strike:  []string{"prompt never"}, publish: "he\x00ld", only: []string{"air724", "air780e", "air780ep"},
			causes: []recovery.Cause{recovery.OutOfSync},
		},
		{
			name: "late prompt", field: "the prompt of MPUBEX comes 12 s late, to nobody",
			noticed: "the command's deadline; the late prompt prolongs the silence",
			strike:  []string{"prompt late 12s"}, publish: "he\x00ld", only: []string{"air724", "air780e", "air780ep"},
			causes: []recovery.Cause{recovery.OutOfSync},
		},
		{
			name: "port pulled", field: "the cable is pulled (EIO) and put back after 10 s",
			noticed: "the read fails at once; the path is looked up anew every few seconds",
			strike:  []string{"unplug 10s"}, lasts: 10 * time.Second, causes: []recovery.Cause{recovery.PortMissing},
		},
		{
			name: "port hung up", field: "the USB bridge resets and hangs up; the device comes back under another name behind the same link",
			noticed: "the read ends at once; the link is followed anew",
			strike:  []string{"unplug 3s hangup"}, lasts: 3 * time.Second, causes: []recovery.Cause{recovery.PortMissing},
		},
		{
			name: "port taken", field: "the cable is put back and ModemManager has the port first, for 30 s",
			noticed: "the read fails; the port is held by somebody, who is named",
			strike:  []string{"unplug 2s"}, lasts: 32 * time.Second,
			hook:   func(w *wedged) { w.busyUntil = time.Now().Add(32 * time.Second) },
			causes: []recovery.Cause{recovery.PortMissing},
		},
		{
			name: "blocked write", field: "the USB bridge takes no more bytes for 20 s",
			noticed: "the write's own deadline, 5 s beyond the time on the line; the port is opened anew",
			strike:  []string{"stall 20s"}, publish: strings.Repeat("x", 4090), lasts: 20 * time.Second,
			only:   []string{"air780e", "air780ep"},
			causes: []recovery.Cause{recovery.WriteBlocked},
		},
		{
			name: "radio left off", field: "the daemon was killed between AT+CFUN=0 and AT+CFUN=1",
			noticed: "no SIM at the next start; the radio is switched on before anything is called wrong",
			kind:    ridden, hook: radioLeftOff,
		},
		{
			name: "restart of the daemon", field: "the daemon is restarted while the module holds its session",
			noticed: "nothing to notice: every start begins with MDISCONNECT and MIPCLOSE",
			kind:    ridden, hook: func(w *wedged) { w.halt(); w.begin() },
		},
		{
			name: "refused tear-down", field: "the module keeps the old link whatever it is told: ALREADY CONNECT",
			noticed: "ALREADY CONNECT instead of CONNECT OK",
			kind:    ascent, strike: []string{"error AT+MDISCONNECT count=3", "error AT+MIPCLOSE count=3", "puback never"}, publish: "held",
			causes: []recovery.Cause{recovery.ConnectFailed},
		},
	}
}

// radioLeftOff is a daemon that was killed at the worst moment of the radio rung.
func radioLeftOff(w *wedged) {
	w.halt()
	port := w.module.Open()
	if _, err := port.Write([]byte("AT+CFUN=0\r")); err != nil {
		w.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	if err := port.Close(); err != nil {
		w.Fatal(err)
	}
	w.begin()
}
