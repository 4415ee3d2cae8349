package airsim

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"airbridged/internal/airsim/orders"
)

// lieWord makes a block announce another length than it has.
func lieWord(name, help, example string) word {
	return armedWord(name, name, help, example, func(v orders.Values) arming {
		return arming{how: "count " + strconv.Itoa(v.Int("N")), code: v.Int("N")}
	}, orders.Int("N", -4096, 4096))
}

// httpWords are faults of the module's HTTP client.
func httpWords() []word {
	return []word{
		armedWord("http-status", "http", "HTTPACTION ends with status N, such as 601 to 606", "http-status 603 count=2",
			func(v orders.Values) arming { return arming{how: "status", code: v.Int("N")} }, orders.Int("N", 100, 999)),
		armedWord("http-never", "http", "HTTPACTION answers OK and nothing more", "http-never",
			func(orders.Values) arming { return arming{how: "never"} }),
		armedWord("http-body", "http", "HTTPACTION ends with status 200 and this body", `http-body "{\"code\":200,\r\n\"data\":null}"`,
			func(v orders.Values) arming { return arming{how: "body", text: v.Text("TEXT")} }, orders.Text("TEXT")),
		lieWord("http-lie", "the next HTTPREAD announces N bytes more than it carries", "http-lie 9"),
	}
}

// mqttWords are faults of the MQTT session and of its lines.
func mqttWords() []word {
	link := func(name, help string, f func(m *Module)) word {
		return word{Name: name, Help: help, Example: name, Do: does(func(m *Module, _ orders.Values) { f(m) })}
	}
	forms := slices.Sorted(maps.Keys(msubForms))
	return []word{
		link("closed", "the MQTT connection is cut and the module prints CLOSED", func(m *Module) { m.dropLink("cut by order") }),
		link("silent-closed", "the same, but CLOSED is not printed: only MQTTSTATU tells", func(m *Module) { m.dropLinkSilently() }),
		link("half-open", "the path is dead and nobody knows: MQTTSTATU still says 1, until 1.5 keep-alive periods are over", func(m *Module) { m.deadLink() }),
		completionWord("connect", "MIPSTART answers OK and then CONNECT FAIL, nothing, ERROR, +CME ERROR or TCP ERROR", "connect fail count=3", "fail", "never", "error", "cme", "tcp"),
		completionWord("connack", "the login is refused as the firmware shows it, refused by OK and CLOSED, refused by OK and ERROR, never answered, or late", "connack refuse", "refuse", "close", "error", "never", "late"),
		completionWord("suback", "SUBACK does not come, comes late, comes twice, or is ERROR or +CME ERROR", "suback late 40s", "never", "late", "dup", "error", "cme"),
		completionWord("unsuback", "the same for UNSUBACK", "unsuback never", "never", "late", "dup", "error", "cme"),
		completionWord("puback", "the same for PUBACK; the message did reach the cloud", "puback late 45s", "never", "late", "dup"),
		completionWord("prompt", "the > of MPUBEX or DOWNLOAD is not printed though data is awaited, or late", "prompt never", "never", "late"),
		lieWord("msub-lie", "the next +MSUB announces N bytes more than it carries", "msub-lie 5"),
		{
			Name: "msub-form", Args: []orders.Arg{orders.Named("FORM", "FORM", forms...)},
			Help: "the form of the +MSUB header: " + strings.Join(forms, ", "), Example: "msub-form unquoted",
			Do: does(func(m *Module, v orders.Values) { m.set.sub = v.Text("FORM") }),
		},
	}
}
