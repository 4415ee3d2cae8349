package airsim

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"airbridged/internal/airsim/orders"
)

// fastest bounds a line rate in an order, in bits a second.
const fastest = 4_000_000

// farewells are what a module says when it switches itself off.
var farewells = map[string]string{
	"normal": "NORMAL POWER DOWN", "under-voltage": "UNDER-VOLTAGE POWER DOWN", "over-voltage": "OVER-VOLTAGE POWER DOWN",
	"over-temperature": "OVER-TEMPERATURE POWER DOWN",
}

// powerWords are faults of the module as a whole, and of its UART.
func powerWords() []word {
	reset := func(name, help string) word {
		return word{Name: name, Help: help, Example: name, Do: does(func(m *Module, _ orders.Values) { m.reboot(name) })}
	}
	usual := orders.Custom("RATE", "RATE", func(w string) (int, error) {
		n, err := strconv.Atoi(w)
		if err != nil || n != 0 && !usualRate(n) {
			return 0, fmt.Errorf("RATE is one of %s", strings.Trim(fmt.Sprint(rates), "[]"))
		}
		return n, nil
	})
	return []word{
		reset("reboot", "the module restarts without a warning; all settings are lost"),
		reset("reset", "the reset line is pulled: a restart that also ends hang and AT+CPOWD"),
		{
			Name: "brown-out", Args: []orders.Arg{orders.Int("N", 1, 10000), orders.Every(2 * time.Second)},
			Help: "it restarts N times, each time this long after the last (default 2s)", Example: "brown-out 5 every=3s",
			Do: does(func(m *Module, v orders.Values) {
				m.faults.brownouts.left, m.faults.brownouts.every = v.Int("N")-1, v.Duration("every")
				m.reboot("brown-out")
			}),
		},
		{
			Name: "silence", Args: []orders.Arg{orders.Duration("DURATION")}, Help: "it takes no command and prints nothing for so long",
			Example: "silence 30s",
			Do:      does(func(m *Module, v orders.Values) { m.hang(v.Duration("DURATION")) }),
		},
		{
			Name: "starting", Args: []orders.Arg{orders.Duration("DURATION")}, Help: "it answers +CME ERROR: 4 to everything for so long, as after power-on",
			Example: "starting 30s",
			Do:      does(func(m *Module, v orders.Values) { m.faults.starting = m.now.Add(v.Duration("DURATION")) }),
		},
		{
			Name: "rdy-twice", Args: []orders.Arg{orders.Toggle()}, Help: "it prints RDY a second time 0.7 s after the first when it starts, and is deaf for 6 s",
			Example: "rdy-twice on",
			Do:      does(func(m *Module, v orders.Values) { m.faults.twice = v.Has("on") }),
		},
		{
			Name: "gnss", Args: []orders.Arg{orders.Toggle()}, Help: "positions are printed between the lines of its answers", Example: "gnss on",
			Do: does(func(m *Module, v orders.Values) { m.faults.gnss = v.Has("on") }),
		},
		{
			Name: "cmee", Args: []orders.Arg{orders.Int("N", 0, 2)}, Help: "errors are ERROR (0), numbers (1) or words (2), after a restart too", Example: "cmee 2",
			Do: does(func(m *Module, v orders.Values) {
				m.set.cmee = v.Int("N")
				m.saved.cmee = m.set.cmee + 1
			}),
		},
		{
			Name: "hang", Help: "it takes no command and prints nothing until it is reset", Example: "hang",
			Do: does(func(m *Module, _ orders.Values) { m.hang(0) }),
		},
		{
			Name: "power-off", Args: []orders.Arg{orders.Optional("REASON", "", orders.Choice("REASON", slices.Sorted(maps.Keys(farewells))...))},
			Help: "it loses its power until reset; with a reason it switches itself off and says so", Example: "power-off under-voltage",
			Do: does(func(m *Module, v orders.Values) {
				farewell := farewells[v.Text("REASON")]
				if farewell == "" {
					m.powerOff("power-off")
					return
				}
				m.sendLine(farewell)
				m.flushed(func() { m.powerOff("power-off " + v.Text("REASON")) })
			}),
		},
		{
			Name: "stall", Args: []orders.Arg{orders.Duration("DURATION")},
			Help: "nothing is read from the line for so long: the host's writes block", Example: "stall 10s",
			Do: does(func(m *Module, v orders.Values) {
				m.stall(true)
				m.anyway(v.Duration("DURATION"), func() { m.stall(false) })
			}),
		},
		{
			Name: "unplug", Args: []orders.Arg{orders.Optional("DURATION", time.Second, orders.Duration("DURATION")), orders.Flag("hangup")},
			Help: "the host's end of the line fails with EIO, and a new one comes after that long (default 1s); " +
				"hangup: reads in memory end with EOF first, as after a hang-up",
			Example: "unplug 3s",
			Do: does(func(m *Module, v orders.Values) {
				why := error(syscall.EIO)
				if v.Has("hangup") {
					why = io.EOF
				}
				m.unplug(v.Duration("DURATION"), why)
			}),
		},
		{
			Name: "baud", Args: []orders.Arg{usual, orders.Flag("saved")},
			Help: "the module's line now runs at this rate (0: it finds it out); saved: after a restart too", Example: "baud 9600",
			Do: does(func(m *Module, v orders.Values) {
				m.setRate(v.Int("RATE"))
				if v.Has("saved") {
					m.saved.rate = v.Int("RATE")
				}
			}),
		},
		{
			Name: "garble-above", Args: []orders.Arg{orders.Int("RATE", 0, fastest), orders.Prob()},
			Help:    "on a line faster than this, bytes of both directions are damaged, each with this probability (default 1)",
			Example: "garble-above 460800 prob=0.01",
			Do: does(func(m *Module, v orders.Values) {
				m.faults.garble.above, m.faults.garble.prob = v.Int("RATE"), v.Float("prob")
			}),
		},
		{
			Name: "imei", Args: []orders.Arg{orders.Text("TEXT"), orders.Flag("plain")},
			Help:    "what AT+CGSN answers instead of an IMEI; nothing: OK alone, refused: an error; plain: AT+CGSN=1 still tells the IMEI",
			Example: "imei 000000000000000",
			Do: does(func(m *Module, v orders.Values) {
				m.faults.imei = imeiFault{says: v.Text("TEXT"), only: v.Has("plain")}
			}),
		},
		{
			Name: "train", Args: []orders.Arg{orders.Int("N", 0, 1000)},
			Help: "autobaud begins again, and lets N upper-case ATs pass before it answers", Example: "train 3",
			Do: does(func(m *Module, v orders.Values) {
				if m.set.rate == 0 {
					m.in.trained, m.in.trains = false, v.Int("N")
				}
			}),
		},
	}
}

// simLocks are the codes that can be wanted, as AT+CPIN? names them.
var simLocks = map[string]string{
	"pin": "SIM PIN", "puk": "SIM PUK", "pin2": "SIM PIN2", "ph-sim": "PH-SIM PIN", "ph-net": "PH-NET PIN", "blocked": "SIM BLOCKED",
}

// networkWords are faults of SIM, radio and bearer.
func networkWords() []word {
	offset := orders.Custom("OFFSET", "unset|OFFSET", func(w string) (string, error) {
		if _, err := time.ParseDuration(w); w != "unset" && err != nil {
			return "", errors.New("OFFSET is unset or a duration such as 0s or -90m")
		}
		return w, nil
	})
	return []word{
		{
			Name: "csq", Args: []orders.Arg{orders.Int("N", 0, 99)}, Help: "the signal is N (0-31, 99 unknown)", Example: "csq 5",
			Do: does(func(m *Module, v orders.Values) { m.radio.csq = v.Int("N") }),
		},
		{
			Name: "network-time", Args: []orders.Arg{offset}, Help: "the network tells no time, or one that is so far off", Example: "network-time -90m",
			Do: does(func(m *Module, v orders.Values) {
				off, _ := time.ParseDuration(v.Text("OFFSET")) // 0 where it is unset
				m.radio.clockUnset, m.radio.clockOff = v.Text("OFFSET") == "unset", off
			}),
		},
		{
			Name: "sim", Args: []orders.Arg{orders.Choice("what", "removed", "inserted", "pin", "puk", "pin2", "ph-sim", "ph-net", "blocked", "unlocked"), orders.Optional("ICCID", "", orders.Text("ICCID"))},
			Help: "the card is pulled, put in, perhaps another one, or wants a code, or no longer; ph-: it is the module that is locked", Example: "sim removed",
			Do: does(func(m *Module, v orders.Values) {
				switch v.Text("what") {
				case "removed":
					m.simRemoved()
				case "inserted":
					if other := v.Text("ICCID"); other != "" {
						m.o.ICCID = other
					}
					m.simInserted()
				case "unlocked":
					m.radio.simLock = ""
					m.radioOn(false)
				default:
					m.radio.simLock = simLocks[v.Text("what")]
					m.simStops()
				}
			}),
		},
		{
			Name: "sim-stuck", Args: []orders.Arg{orders.Int("CODE", 1, 65535), orders.Flag("reset")},
			Help: "the card is there and cannot be read: what asks for it is refused with +CME ERROR: CODE until AT+CFUN=0 takes its power away; " +
				"reset: only a restart does",
			Example: "sim-stuck 13",
			Do: does(func(m *Module, v orders.Values) {
				m.radio.simStuck = stuck{code: v.Int("CODE"), reset: v.Has("reset")}
				m.simStops()
			}),
		},
		{
			Name: "service", Args: []orders.Arg{orders.Either("lost", "back")}, Help: "the network goes, and comes back", Example: "service lost",
			Do: does(func(m *Module, v orders.Values) {
				if v.Has("lost") {
					m.serviceLost()
				} else {
					m.serviceBack()
				}
			}),
		},
		{
			Name: "network-says", Args: []orders.Arg{orders.Int("STAT", 0, 11), orders.Flag("works"), orders.Optional("REJECT", 0, orders.Int("REJECT", 1, 255))},
			Help: "what AT+CEREG? and its like answer, 3 a denial, 2 a search, 6 SMS only; there is packet data with 1, 5, 9 and 10, " +
				"or where it works all the same; REJECT is the network's reason, told as AT+CEREG=3 has it",
			Example: "network-says 3",
			Do: does(func(m *Module, v orders.Values) {
				m.networkSays(says{ordered: true, stat: v.Int("STAT"), works: v.Has("works"), reject: v.Int("REJECT")})
			}),
		},
		{
			Name: "dns", Args: []orders.Arg{orders.Either("lost", "back")},
			Help: "the network's name servers answer nothing: CONNECT FAIL, and HTTP status 603", Example: "dns lost",
			Do: does(func(m *Module, v orders.Values) { m.faults.nameless = v.Has("lost") }),
		},
		armedWord("attach", "attach", "the next attempt to attach fails", "attach never",
			func(v orders.Values) arming { return arming{how: v.Text("never")} }, orders.Choice("never", "never")),
		{
			Name: "detach", Help: "the network detaches the module: CGATT becomes 0", Example: "detach",
			Do: does(func(m *Module, _ orders.Values) {
				m.radio.attached = false
				m.bearer.open, m.bearer.ip = false, false
				m.dropLink("detached by the network")
			}),
		},
		{
			Name: "pdp-deact", Args: []orders.Arg{orders.Choice("spelling", "colon", "plain", "cgev"), orders.Flag("stuck")},
			Help: "the context is lost: +PDP: DEACT, +PDP DEACT or +CGEV: NW PDN DEACT 1; " +
				"stuck: only CFUN, CGACT or a reset brings it back",
			Example: "pdp-deact colon",
			Do:      does(func(m *Module, v orders.Values) { m.pdpLost(v.Text("spelling"), v.Has("stuck")) }),
		},
		{
			Name: "sapbr-deact", Help: "the HTTP bearer is lost: +SAPBR 1: DEACT", Example: "sapbr-deact",
			Do: does(func(m *Module, _ orders.Values) { m.sapbrLost() }),
		},
		armedWord("bearer", "bearer", "AT+SAPBR=1,1 fails, or never answers", "bearer fail",
			func(v orders.Values) arming { return arming{how: v.Text("how")} }, orders.Choice("how", "fail", "never")),
	}
}
