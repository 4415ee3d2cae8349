package airsim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// How a module tells that the cloud refused the MQTT login. No public capture
// of a refused CONNACK exists, so the manual's form and every one that drivers
// defend against is spoken by some personality.
type refusal uint8

const (
	refuseError       refusal = iota // ERROR instead of OK
	refuseCME                        // +CME ERROR: 3 instead of OK, then CLOSED
	refuseThenClosed                 // OK, and CLOSED where CONNACK OK was due
	refuseErrorClosed                // ERROR instead of OK, then CLOSED
	refuseLate                       // OK, and ERROR where CONNACK OK was due (the vendor's page on MCONNECT)
)

// The forms of the header before a received message: vendor traces and the
// manual disagree; personalities speak that of the traces, and all can be chosen
// with the msub-form command.
var msubForms = map[string]string{
	"quoted":    `+MSUB: "%s",%d byte,`, // every vendor trace
	"tight":     `+MSUB: "%s",%dbyte,`,
	"unquoted":  `+MSUB: %s,%d byte,`, // the manual's MQTTMSGGET example
	"bare":      `+MSUB: "%s",%d,`,    // the manual's syntax line
	"nospace":   `+MSUB:"%s",%d byte,`,
	"quotedhex": `+MSUB: "%s",%d byte,`, // as quoted; in hex mode the payload stands in quotes
}

// bootLine is one thing a module prints while it starts.
type bootLine struct {
	after time.Duration // since power-on, when latencies are on
	text  string
	raw   bool // printed as it is, with no line ends of its own
	net   bool // only when there is a SIM and service
}

// span is a range of durations that a latency is drawn from.
type span struct{ least, most time.Duration }

// latencies are the waits of one firmware family when Options.Latency is set.
// Those of the Air780EP are from the vendor's time-stamped Aliyun log (command
// answers 2-5 ms, HTTPS POST 1.6-2.2 s, TLS connect 1.4-2.3 s, CONNACK 0.2-0.3 s,
// SUBACK and PUBACK 0.3 s); the others are estimates scaled from them.
type latencies struct {
	boot, sim, register, attach span // since power-on
	command, bearer             span
	http, tcp, tls              span
	connack, suback, puback     span
}

// personality is everything in which one firmware family differs from another.
type personality struct {
	name     string
	firmware string
	model    string
	cgmr     string   // form of the AT+CGMR line, %s is the firmware
	ati      []string // lines of ATI, %s is the firmware
	iccid    string   // form of the AT+ICCID line
	ccid     string   // form of the AT+CCID line
	sapbr    string   // form of the AT+SAPBR=2,1 line
	ip       string
	noIP     string
	shut     string // what AT+CIPSHUT answers
	action   string // form of the +HTTPACTION line
	msub     string // key of msubForms
	prompt   string // what MPUBEX prints, exactly
	statFail string // printed before CONNECT FAIL; empty: nothing
	cereg    string // prefix of the AT+CEREG? answer

	boot []bootLine

	lte        bool
	noBER      bool // AT+CSQ gives 99 for the bit error rate, as on 2G
	loud       bool // boots visibly though it has autobaud (logs of the Air780EP)
	autobaud   bool // trains on an upper-case AT; else listens at one rate
	echo       bool
	cmee       int  // what AT+CMEE? gives after power-on
	unknownCME int  // error number for an unknown command; 0: plain ERROR whatever CMEE says
	mqttCME    bool // MQTT misuse is +CME ERROR: 767; else ERROR
	cached     bool // MQTTMSGSET is 1 after power-on

	tls       bool // HTTPS and SSLMIPSTART
	mqtt      bool // any MQTT command
	mpubex    bool
	mqttmode  bool
	emptyUser bool // MCONFIG takes an empty user and password
	netAPN    bool // AT+CPNETAPN sets the access point of the default context, for good
	defaultIP bool // MQTT needs no bearer command: a PDP context is active after attach
	reopenOK  bool // SAPBR=1,1 on an open bearer is OK; else CME 3
	refused   refusal

	maxPayload  int // bytes of an MPUB message as written, or of MPUBEX data
	maxHTTPData int // largest HTTPDATA
	maxLine     int // longest command line

	wait latencies
}

// Personalities lists the names that Options.Personality takes.
func Personalities() []string {
	var names []string
	for _, p := range personalities() {
		names = append(names, p.name)
	}
	return names
}

func personalityByName(name string) (personality, error) {
	all := personalities()
	i := slices.IndexFunc(all, func(p personality) bool { return p.name == name })
	if i < 0 {
		return personality{}, fmt.Errorf("no personality %q; there are %s", name, strings.Join(Personalities(), ", "))
	}
	return all[i], nil
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func between(least, most int) span { return span{ms(least), ms(most)} }

// personalities is the table. Facts: vendor quick guide (2G), Air AT manual
// 1.6.3, vendor application notes for the Air780EP (firmware names, logs),
// vendor change logs (limits of the Air724).
func personalities() []personality {
	return []personality{air2G(), air724(), air780E(), air780EP(), air780EPM(), air780EL(), air700EAQ(), unsupported()}
}

func air2G() personality {
	return personality{
		name: "2g", firmware: "AirM2M_V5664_AT_S_SSL", model: "Air202",
		cgmr: "%s", ati: []string{"%s"},
		iccid: "+ICCID: %s", ccid: "%s",
		sapbr: "+SAPBR: %d,%d,%s", ip: "010.169.179.213", noIP: "000.000.000.000",
		shut: "SHUT OK", action: "+HTTPACTION: %d,%d,%d", msub: "quoted", cereg: "+CEREG",
		boot: []bootLine{
			{after: ms(1200), text: "RDY"},
			{after: ms(2500), text: "+CPIN: READY", net: true},
			{after: ms(4500), text: "CALL READY", net: true},
			{after: ms(5200), text: "SMS READY", net: true},
		},
		autobaud: true, echo: true, cmee: 0,
		tls: true, mqtt: true, emptyUser: true, refused: refuseThenClosed,
		maxPayload: 1360, maxHTTPData: 3356, maxLine: 2048,
		wait: latencies{
			boot: between(1000, 1200), sim: between(2000, 2500), register: between(5000, 9000), attach: between(8000, 14000),
			command: between(3, 8), bearer: between(1200, 2600),
			http: between(2800, 4800), tcp: between(600, 1200), tls: between(2800, 4600),
			connack: between(400, 700), suback: between(400, 700), puback: between(400, 700),
		},
	}
}

func air724() personality {
	return personality{
		name: "air724", firmware: "AirM2M_Air724UG_V401853_LTE_AT", model: "Air724UG",
		cgmr: `+CGMR: "%s"`, ati: []string{"AirM2M", "Air724UG", "Revision: %s"},
		iccid: "+ICCID: %s", ccid: "%s",
		sapbr: "+SAPBR: %d,%d,%s", ip: "010.132.007.044", noIP: "000.000.000.000",
		shut: "SHUT OK", action: "+HTTPACTION:%d,%d,%d", msub: "quoted", prompt: "\r\n> ", cereg: "+CEREG",
		boot: []bootLine{
			{after: ms(2600), text: "RDY"},
			{after: ms(4100), text: "+CPIN: READY", net: true},
			{after: ms(4150), text: "+CPIN: READY", net: true}, // printed twice by this family
			{after: ms(5600), text: "+E_UTRAN Service", net: true},
			{after: ms(5900), text: "+NITZ: %NITZ2%", net: true},
		},
		lte: true, noBER: true, autobaud: true, echo: true, cmee: 1, mqttCME: true, cached: true,
		tls: true, mqtt: true, mpubex: true, mqttmode: true, emptyUser: true, refused: refuseErrorClosed,
		maxPayload: 2348, maxHTTPData: 319488, maxLine: 4096,
		wait: latencies{
			boot: between(2400, 2600), sim: between(3800, 4100), register: between(5000, 5500), attach: between(5500, 7500),
			command: between(2, 6), bearer: between(300, 900),
			http: between(1700, 2600), tcp: between(200, 500), tls: between(1500, 2500),
			connack: between(200, 350), suback: between(250, 350), puback: between(250, 350),
		},
	}
}

// lteBoot is the start of the EC618 and EC718 families: the mask ROM's banner has
// no line end of its own (its backslash n is two characters), so it is glued to
// RDY.
func lteBoot(pdn string) []bootLine {
	return []bootLine{
		{after: ms(350), text: `^boot.rom'v'!\n`, raw: true},
		{after: ms(1900), text: "RDY"},
		{after: ms(2500), text: "^MODE: 17,17", net: true},
		{after: ms(2600), text: "+E_UTRAN Service", net: true},
		{after: ms(2700), text: pdn, net: true},
		{after: ms(3100), text: "+NITZ: %NITZ4%", net: true},
	}
}

func lteLatencies() latencies {
	return latencies{
		boot: between(1800, 1900), sim: between(2000, 2200), register: between(2300, 3500), attach: between(2500, 4500),
		command: between(2, 5), bearer: between(2, 4),
		http: between(1600, 2200), tcp: between(150, 400), tls: between(1400, 2300),
		connack: between(200, 300), suback: between(280, 320), puback: between(280, 320),
	}
}

func air780E() personality {
	return personality{
		name: "air780e", firmware: "AirM2M_780E_V1161_LTE_AT", model: "Air780E",
		cgmr: `+CGMR: "%s"`, ati: []string{"%s"},
		iccid: "+ICCID: %s", ccid: "%s",
		sapbr: "+SAPBR: %d,%d,%s", ip: "010.014.128.009", noIP: "000.000.000.000",
		shut: "OK", action: "+HTTPACTION: %d,%d,%d", msub: "quoted", prompt: ">", cereg: "+CEREG",
		boot: lteBoot("+CGEV: ME PDN ACT 1"),
		lte:  true, echo: true, cmee: 1, unknownCME: 58, mqttCME: true,
		tls: true, mqtt: true, mpubex: true, mqttmode: true, defaultIP: true, netAPN: true, refused: refuseCME,
		maxPayload: 4100, maxHTTPData: 3356, maxLine: 8192,
		wait: lteLatencies(),
	}
}

func air780EP() personality {
	return personality{
		name: "air780ep", firmware: "AirM2M_780EP_V1007_LTE_AT", model: "Air780EP",
		cgmr: `+CGMR: "%s"`, ati: []string{"%s"},
		iccid: "+ICCID: %s", ccid: "%s",
		sapbr: `+SAPBR: %d,%d,"%s"`, ip: "10.159.1.145", noIP: "0.0.0.0",
		shut: "OK", action: "+HTTPACTION: %d,%d,%d", msub: "quoted", prompt: ">", statFail: "STATE: %s", cereg: "+CGREG",
		boot: lteBoot("+CGEV: ME PDN ACT 1,0"),
		lte:  true, loud: true, autobaud: true, echo: true, cmee: 1, mqttCME: true,
		tls: true, mqtt: true, mpubex: true, mqttmode: true, emptyUser: true, defaultIP: true, netAPN: true, reopenOK: true, refused: refuseError,
		maxPayload: 4100, maxHTTPData: 3356, maxLine: 8192,
		wait: lteLatencies(),
	}
}

// air780EPM is the EC718's newer image, whose driver waits for OK and ERROR where the
// cloud refuses the login (driver for V2007).
func air780EPM() personality {
	p := air780EP()
	p.name, p.firmware, p.model = "air780epm", "AirM2M_780EPM_V2007_LTE_AT", "Air780EPM"
	p.refused = refuseLate
	return p
}

// air780EL is the EC716S with the one image that has MQTT and TLS (AT manual 1.6.3).
func air780EL() personality {
	p := air780EPM()
	p.name, p.firmware, p.model = "air780el", "AirM2M_780EL_V1004_LTE_AT_MS", "Air780EL"
	return p
}

// air700EAQ takes the largest payload of all (vendor's change log of 2024-10-12).
func air700EAQ() personality {
	p := air780EPM()
	p.name, p.firmware, p.model = "air700eaq", "AirM2M_700EAQ_V2015_LTE_AT", "Air700EAQ"
	p.maxPayload = 5120
	return p
}

// unsupported is a 2G image whose name has neither SSL nor NOTTS: the vendor
// quick guide says that it cannot reach the cloud, and it has no MQTT and no TLS.
func unsupported() personality {
	p := air2G()
	p.name, p.firmware = "unsupported", "AirM2M_V5664_AT_S"
	p.tls, p.mqtt = false, false
	return p
}

// BootTime is the longest that a personality takes from power-on until it is
// attached to the network, with latencies on; 0 for a name that there is not.
func BootTime(name string) time.Duration {
	p, err := personalityByName(name)
	if err != nil {
		return 0
	}
	return p.wait.attach.most
}
