package session_test

import (
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/recovery"
)

// What SIM, radio and network do.
func networkWedges() []wedge {
	return []wedge{
		{
			name: "bearer lost, +PDP: DEACT", field: "the network takes the data context away",
			noticed: "the line, at once",
			strike:  []string{"pdp-deact colon"}, causes: []recovery.Cause{recovery.BearerFailed},
		},
		{
			name: "bearer lost, +PDP DEACT", field: "the same in the manual's other spelling",
			noticed: "the line, at once",
			strike:  []string{"pdp-deact plain"}, causes: []recovery.Cause{recovery.BearerFailed},
		},
		{
			name: "bearer lost, +CGEV", field: "the same as 4G firmware reports it",
			noticed: "the line, at once",
			strike:  []string{"pdp-deact cgev"}, causes: []recovery.Cause{recovery.BearerFailed},
		},
		{
			name: "bearer lost, line lost", field: "the network takes the context away, and the UART drops the line that says so",
			noticed: "AT+MQTTSTATU at the next status poll",
			strike:  []string{"drop +PDP", "pdp-deact colon"}, causes: []recovery.Cause{recovery.Closed},
		},
		{
			name: "bearer stuck", field: "the context comes back only when the radio was off (vendor FAQ)",
			noticed: "the line, at once; then the bearer does not open",
			strike:  []string{"pdp-deact cgev stuck"}, causes: []recovery.Cause{recovery.BearerFailed},
		},
		{
			name: "HTTP bearer lost", field: "+SAPBR 1: DEACT: only requests over HTTPS are concerned",
			noticed: "nothing to notice: the MQTT link stands",
			kind:    ridden, strike: []string{"sapbr-deact"}, publish: "held", only: []string{"air780e", "air780ep"},
		},
		{
			name: "bearer refused", field: "the network refuses the context twice",
			noticed: "AT+SAPBR=2,1 says so",
			kind:    ascent, strike: []string{"bearer fail count=2", "pdp-deact colon"}, causes: []recovery.Cause{recovery.BearerFailed},
		},
		{
			name: "bearer command without an answer", field: "AT+SAPBR=1,1 never returns",
			noticed: "its deadline, `cloud.timeouts.bearer`",
			kind:    ascent, strike: []string{"bearer never", "pdp-deact colon"},
			causes: []recovery.Cause{recovery.OutOfSync}, detect: 110 * time.Second, resets: 1,
		},
		{
			name: "detached", field: "the network detaches the module",
			noticed: "CLOSED, at once; a connect that fails asks AT+CGATT?, and AT+CGATT=1 attaches anew",
			strike:  []string{"detach"}, causes: []recovery.Cause{recovery.Closed},
		},
		{
			name: "cell gone", field: "no service for 5 minutes: a lorry before the antenna, a cell switched off at night",
			noticed: "+NO Service, or the registration at the next status poll",
			kind:    outside, strike: []string{"service lost"}, lasts: 5 * time.Minute, mend: []string{"service back"},
			causes: []recovery.Cause{recovery.NotRegistered},
		},
		{
			name: "cell gone for 6 hours", field: "the network is down for a quarter of a day",
			noticed: "+NO Service, or the registration at the next status poll",
			kind:    outside, strike: []string{"service lost"}, lasts: 6 * time.Hour, mend: []string{"service back"},
			causes: []recovery.Cause{recovery.NotRegistered}, resets: 6,
		},
		{
			name: "cell gone, and a restart", field: "no service for 10 minutes, and the module restarts in the middle of them",
			noticed: "+NO Service, or the registration at the next status poll; then the echo or the boot lines",
			kind:    outside, strike: []string{"service lost", "at 4m reboot"}, lasts: 10 * time.Minute, mend: []string{"service back"},
			causes: []recovery.Cause{recovery.NotRegistered}, resets: 1,
		},
		{
			name: "dead path, with traffic", field: "a NAT or a firewall forgets the connection; nobody is told",
			noticed: "PUBACK does not come, `cloud.timeouts.puback`",
			strike:  []string{"half-open"}, publish: "held", causes: []recovery.Cause{recovery.PubAckTimeout},
		},
		{
			name: "dead path, idle", field: "the same while nothing is to be sent",
			noticed: "the module's own keep-alive: CLOSED one and a half periods later",
			strike:  []string{"half-open"}, causes: []recovery.Cause{recovery.Closed}, detect: 8 * time.Minute, recover: 9 * time.Minute,
			apart: "nothing is sent that could fail: the module's keep-alive is all the traffic there is, and the cloud recommends 300 s; " +
				"a smaller `cloud.keepalive` is noticed sooner, for more data",
		},
		{
			name: "names do not resolve", field: "the operator's name servers are away for 10 minutes, and the link drops",
			noticed: "CONNECT FAIL, or HTTP status 603",
			kind:    outside, strike: []string{"dns lost", "closed"}, lasts: 10 * time.Minute, mend: []string{"dns back"},
			causes: []recovery.Cause{recovery.Closed}, recover: 6 * time.Minute, resets: 1,
		},
		{
			name: "SIM pulled", field: "the SIM loses contact for 2 minutes",
			noticed: "the line, at once, or AT+CPIN? on the way up",
			kind:    outside, strike: []string{"sim removed"}, lasts: 2 * time.Minute, mend: []string{"sim inserted"},
			causes: []recovery.Cause{recovery.SIMMissing},
		},
		{
			name: "SIM not answered for", field: "the module cannot read its card any more until that gets its power anew",
			noticed: "the registration at the next status poll, then AT+CPIN?",
			strike:  []string{"sim-stuck 13"}, causes: []recovery.Cause{recovery.NotRegistered}, recover: 90 * time.Second,
			apart: "a card gets its 10 s to answer before its power is taken away, and the radio of 2G modules is slow to find the network again",
		},
		{
			name: "no SIM at power-on", field: "the SIM is put in 20 minutes after the gateway was switched on",
			noticed: "AT+CPIN?, once a second for 10 s",
			kind:    outside, cold: true, lasts: 20 * time.Minute, mend: []string{"sim inserted"},
			setup:  setup{module: func(o *airsim.Options) { o.NoSIM = true }},
			causes: []recovery.Cause{recovery.SIMMissing},
		},
		{
			name: "attach refused", field: "the module registers at power-on and does not attach",
			noticed: "AT+CGATT? stays 0 for 20 s: AT+CGATT=1",
			kind:    ridden, cold: true, strike: []string{"attach never"},
		},
	}
}
