package session_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// withToken is a world that logs in with iotId and iotToken.
var withToken = setup{session: func(o *session.Options) { o.Cloud.HTTPSAuth = true }}

// What MQTT, HTTPS and the cloud behind them do.
func cloudWedges() []wedge {
	newToken := func(more ...string) []string { return append(more, "expire-tokens", "closed") }
	return []wedge{
		{
			name: "closed", field: "the connection is closed",
			noticed: "CLOSED, at once",
			strike:  []string{"closed"}, causes: []recovery.Cause{recovery.Closed},
		},
		{
			name: "CLOSED lost", field: "the connection is closed, and nobody says so (Air724 before V838)",
			noticed: "AT+MQTTSTATU at the next status poll",
			strike:  []string{"silent-closed"}, causes: []recovery.Cause{recovery.Closed},
		},
		{
			name: "CLOSED lost, with traffic", field: "the same while a message is to be sent",
			noticed: "the module refuses the publish, and AT+MQTTSTATU says why",
			strike:  []string{"silent-closed"}, publish: "held", causes: []recovery.Cause{recovery.Closed},
		},
		{
			name: "connect fails", field: "the server takes no connection, three times",
			noticed: "CONNECT FAIL",
			kind:    ascent, strike: []string{"connect fail count=3", "closed"}, causes: []recovery.Cause{recovery.ConnectFailed},
		},
		{
			name: "connect without a result", field: "SSLMIPSTART answers OK, and nothing follows",
			noticed: "its deadline, `cloud.timeouts.connect`",
			kind:    ascent, strike: []string{"connect never", "closed"}, causes: []recovery.Cause{recovery.ConnectFailed}, detect: 70 * time.Second,
		},
		{
			name: "login without a result", field: "the login is sent, and no CONNACK comes",
			noticed: "its deadline, `cloud.timeouts.connack`",
			kind:    ascent, strike: []string{"connack never", "closed"}, causes: []recovery.Cause{recovery.ConnectFailed}, detect: 45 * time.Second,
		},
		{
			name: "login refused once", field: "the server refuses a good login, as it does while it is being moved",
			noticed: "ERROR, +CME ERROR or CLOSED, as the firmware shows it; with a cached token a new one is fetched at once",
			kind:    ascent, strike: []string{"connack refuse", "closed"}, causes: []recovery.Cause{recovery.ConnAckRefused},
		},
		{
			name: "subscription without a result", field: "no SUBACK comes",
			noticed: "its deadline, `cloud.timeouts.suback`",
			kind:    ascent, strike: []string{"suback never", "closed"}, causes: []recovery.Cause{recovery.SubAckTimeout}, detect: 45 * time.Second,
		},
		{
			name: "PUBACK lost", field: "the message arrived, its PUBACK does not",
			noticed: "its deadline, `cloud.timeouts.puback`; the message goes out again on a new session",
			strike:  []string{"puback never"}, publish: "held", causes: []recovery.Cause{recovery.PubAckTimeout},
		},
		{
			name: "PUBACK late", field: "the PUBACK comes 33 s later, when its message was given up",
			noticed: "its deadline; the session is torn down, so that the late one meets nobody",
			strike:  []string{"puback late 33s"}, publish: "held", causes: []recovery.Cause{recovery.PubAckTimeout},
		},
		{
			name: "PUBACK twice", field: "the module prints a PUBACK twice",
			noticed: "nothing to notice: only the first after the OK of its own command counts",
			kind:    ridden, strike: []string{"puback dup"}, publish: "held",
		},
		{
			name: "publish refused", field: "the module answers ERROR twice though the link is up",
			noticed: "the refusal, which proves nothing; a new session, so that no late PUBACK meets another message",
			strike:  []string{"error AT+MPUB count=2"}, publish: "held", causes: []recovery.Cause{recovery.DoubtfulAnswer},
		},
		{
			name: "token withdrawn", field: "the cloud no longer takes the cached token",
			noticed: "the refused login; one new token, at once",
			kind:    ascent, strike: newToken(), causes: []recovery.Cause{recovery.ConnAckRefused}, setup: withToken,
		},
		{
			name: "token withdrawn, server failing", field: "the same while the authentication server answers 500, twice",
			noticed: "the code in the answer",
			kind:    ascent, strike: newToken("auth 500 count=2"), causes: []recovery.Cause{recovery.CloudError}, setup: withToken,
		},
		{
			name: "HTTPS fails in the module", field: "the request ends with 601, twice, when a token is needed",
			noticed: "the status in +HTTPACTION",
			kind:    ascent, strike: newToken("http-status 601 count=2"), causes: []recovery.Cause{recovery.HTTPFailed}, setup: withToken,
		},
		{
			name: "HTTPS without a result", field: "HTTPACTION answers OK, and nothing follows",
			noticed: "its deadline, `cloud.timeouts.http`: the module's own is 120 s",
			kind:    ascent, strike: newToken("http-never"), causes: []recovery.Cause{recovery.HTTPFailed}, setup: withToken, detect: 140 * time.Second,
		},
		{
			name: "captive answer", field: "somebody in between answers the token request with a web page",
			noticed: "the answer is no JSON of the cloud's",
			kind:    ascent, strike: newToken(`http-body "<html>please log in</html>"`), causes: []recovery.Cause{recovery.HTTPFailed, recovery.CloudError}, setup: withToken,
		},
		{
			name: "cloud closes all sessions", field: "the cloud restarts a server",
			noticed: "CLOSED, at once",
			strike:  []string{"close"}, causes: []recovery.Cause{recovery.Closed},
		},
		{
			name: "cloud away", field: "the cloud is away for half an hour",
			noticed: "CLOSED, at once; then CONNECT FAIL",
			kind:    outside, strike: []string{"outage on"}, lasts: 30 * time.Minute, mend: []string{"outage off"},
			causes: []recovery.Cause{recovery.Closed}, recover: 6 * time.Minute, resets: 1,
		},
		{
			name: "cloud refuses all logins", field: "the servers answer and refuse every login for 10 minutes",
			noticed: "CLOSED, then the refused logins",
			kind:    outside, strike: []string{"connack refuse count=all", "closed"}, lasts: 10 * time.Minute, mend: []string{"clear"},
			causes: []recovery.Cause{recovery.Closed}, recover: 6 * time.Minute,
		},
		{
			name: "device disabled", field: "somebody disables the device in the console, and enables it an hour later",
			noticed: "CLOSED, then the refused logins",
			kind:    outside, strike: []string{"disable"}, lasts: time.Hour, mend: []string{"enable"},
			causes: []recovery.Cause{recovery.Closed}, recover: 6 * time.Minute,
		},
		{
			name: "kicked by a twin", field: "another client logs in with the same name, once",
			noticed: "the cloud's notice on /ext/notify before CLOSED",
			kind:    outside, strike: []string{"kick"}, causes: []recovery.Cause{recovery.Kicked}, recover: 6 * time.Minute,
		},
		{
			name: "fight with a twin", field: "another client takes the place back every 20 s, for 10 minutes",
			noticed: "the notice, each time",
			kind:    outside, strike: []string{"every 20s kick", "kick"}, lasts: 10 * time.Minute, mend: []string{"clear"},
			causes: []recovery.Cause{recovery.Kicked}, recover: 6 * time.Minute,
		},
		{
			name: "forbidden topic, dropped", field: "a program publishes to a topic that the device may not use; the cloud acknowledges and drops it",
			noticed: "a warning for the topic; the cloud says PUBACK",
			kind:    ridden, hook: publishForeign, publish: "held",
		},
		{
			name: "forbidden topic, closed", field: "the same, and the cloud closes the connection each time (one user report)",
			noticed: "CLOSED right behind the same message: what waits behind it goes first, and after three sessions in a row it is set aside",
			strike:  []string{"forbidden close"}, hook: publishForeign, publish: "held",
			causes: []recovery.Cause{recovery.Closed}, again: 2,
		},
		{
			name: "forbidden filter, closed", field: "a program subscribes to a filter over which the cloud closes the connection",
			noticed: "CLOSED right behind the same subscription: all else goes on without it, and after three sessions in a row it is set aside for an hour",
			strike:  []string{`on ">AT+MSUB=\"/` + simcloud.GuideProductKey + `/another" count=all closed`}, hook: subscribeForeign, publish: "held",
			causes: []recovery.Cause{recovery.Closed}, again: 2,
		},
		{
			name: "throttled", field: "a burst of 20 messages where the cloud takes 5 a second, though 10 are configured, and drops the rest without a word",
			noticed: "in two sessions no PUBACK comes for the same message of a second, though link and signal are fine",
			strike:  []string{"throttle 5"}, hook: burst(20), publish: "held",
			setup:  setup{module: func(o *airsim.Options) { o.RTT, o.Latency = 20*time.Millisecond, false }},
			causes: []recovery.Cause{recovery.PubAckTimeout, recovery.Throttled}, recover: 2 * time.Minute, // three PUBACKs are waited for
		},
		{
			name: "registration switched off", field: "a new device, and dynamic registration is switched on in the console an hour later",
			noticed: "code 6288",
			kind:    outside, cold: true, strike: []string{"registration off"}, lasts: time.Hour, mend: []string{"registration on"},
			causes: []recovery.Cause{recovery.RegistrationDisabled}, recover: 6 * time.Minute,
		},
		{
			name: "asked to slow down", field: "a new device, and the registration server answers 429, three times",
			noticed: "code 429",
			kind:    ascent, cold: true, strike: []string{"register 429 count=3"}, causes: []recovery.Cause{recovery.CloudError},
		},
		{
			name: "disk full", field: "the disk of the state directory takes nothing more when the token is to be replaced",
			noticed: "a warning: secret, token and the times of the connects are known in memory",
			kind:    ascent, strike: newToken(), hook: unwritable(10 * time.Minute),
			causes: []recovery.Cause{recovery.ConnAckRefused}, setup: withToken,
		},
		{
			name: "state directory unwritable", field: "the disk of the state directory is not mounted for 10 minutes, on a new device",
			noticed: "the store is proven writable before the cloud is asked for a secret that it gives once",
			kind:    outside, cold: true, hook: unwritable(10 * time.Minute), lasts: 10 * time.Minute,
			causes: []recovery.Cause{recovery.StateUnwritable}, recover: 6 * time.Minute,
		},
	}
}

// publishForeign is a program with a wrong topic.
func publishForeign(w *wedged) {
	w.append("/"+simcloud.GuideProductKey+"/another/update", 1, "not ours")
}

// subscribeForeign is a program that listens to another device's topic.
func subscribeForeign(w *wedged) {
	if _, err := w.hub.Subscribe([]string{"/" + simcloud.GuideProductKey + "/another/get"}); err != nil {
		w.Fatal(err)
	}
}

// burst is a program that sends more than its device may.
func burst(n int) func(*wedged) {
	return func(w *wedged) {
		for i := range n {
			w.append(update, 1, fmt.Sprint("burst ", i))
		}
	}
}

// unwritable takes the state directory away, which stops root too.
func unwritable(d time.Duration) func(*wedged) {
	return func(w *wedged) {
		state := filepath.Join(w.dir, "state")
		if err := os.Rename(state, state+".gone"); err != nil {
			w.Fatal(err)
		}
		time.AfterFunc(d, func() {
			if err := os.Rename(state+".gone", state); err != nil {
				w.Error(err)
			}
		})
	}
}
