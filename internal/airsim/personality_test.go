package airsim

import (
	"fmt"
	"strings"
	"testing"

	"airbridged/internal/airsim/simcloud"
)

// What each firmware family answers, side by side.
func TestPersonalities(t *testing.T) {
	const iccid = "89860418161892021234"
	same := func(s string) map[string]string {
		return map[string]string{"2g": s, "air724": s, "air780e": s, "air780ep": s}
	}
	const errorLine, cme50, cme58, cme767 = "\r\nERROR\r\n", "\r\n+CME ERROR: 50\r\n", "\r\n+CME ERROR: 58\r\n", "\r\n+CME ERROR: 767\r\n"
	info := func(text string) string { return "\r\n" + text + "\r\n" + okay }
	table := []struct {
		command string
		want    map[string]string
	}{
		{"AT", same(okay)},
		{"AT+CGMR", map[string]string{
			"2g":       info("AirM2M_V5664_AT_S_SSL"),
			"air724":   info(`+CGMR: "AirM2M_Air724UG_V401853_LTE_AT"`),
			"air780e":  info(`+CGMR: "AirM2M_780E_V1161_LTE_AT"`),
			"air780ep": info(`+CGMR: "AirM2M_780EP_V1007_LTE_AT"`),
		}},
		{"ATI", map[string]string{
			"2g":       info("AirM2M_V5664_AT_S_SSL"),
			"air724":   "\r\nAirM2M\r\n\r\nAir724UG\r\n\r\nRevision: AirM2M_Air724UG_V401853_LTE_AT\r\n" + okay,
			"air780e":  info("AirM2M_780E_V1161_LTE_AT"),
			"air780ep": info("AirM2M_780EP_V1007_LTE_AT"),
		}},
		{"AT+CGSN", same(info(simcloud.GuideDeviceName))},
		{"AT+ICCID", same(info("+ICCID: " + iccid))},
		{"AT+CCID", same(info(iccid))},
		{"AT+CIMI", same(info("460040892021234"[:6] + iccid[len(iccid)-9:]))},
		{"AT+CPIN?", same(info("+CPIN: READY"))},
		{"AT+CREG?", same(info("+CREG: 0,1"))},
		{"AT+CEREG?", map[string]string{"2g": info("+CEREG: 0,1"), "air724": info("+CEREG: 0,1"), "air780e": info("+CEREG: 0,1"), "air780ep": info("+CGREG: 0,1")}},
		{"AT+CGATT?", same(info("+CGATT: 1"))},
		{"AT+CSQ", map[string]string{"2g": info("+CSQ: 24,99"), "air724": info("+CSQ: 24,99"), "air780e": info("+CSQ: 24,0"), "air780ep": info("+CSQ: 24,0")}},
		{"AT+COPS?", map[string]string{
			"2g": info(`+COPS: 0,0,"CHINA MOBILE",0`), "air724": info(`+COPS: 0,0,"CHINA MOBILE",7`),
			"air780e": info(`+COPS: 0,0,"CHINA MOBILE",7`), "air780ep": info(`+COPS: 0,0,"CHINA MOBILE",7`),
		}},
		{"AT+CFUN?", same(info("+CFUN: 1"))},
		{"AT+CMEE?", map[string]string{"2g": info("+CMEE: 0"), "air724": info("+CMEE: 1"), "air780e": info("+CMEE: 1"), "air780ep": info("+CMEE: 1")}},
		{"AT+NONSENSE", map[string]string{"2g": errorLine, "air724": errorLine, "air780e": cme58, "air780ep": errorLine}},
		{"AT+CGATT", map[string]string{"2g": errorLine, "air724": errorLine, "air780e": cme58, "air780ep": errorLine}},
		{`AT+SAPBR=3,1,"APN","CMIOT`, map[string]string{"2g": errorLine, "air724": errorLine, "air780e": cme58, "air780ep": errorLine}},
		{`AT+SAPBR=3,1,"CONTYPE","GPRS"`, same(okay)},
		{`AT+SAPBR=3,1,"NONE","x"`, map[string]string{"2g": errorLine, "air724": cme50, "air780e": cme50, "air780ep": cme50}},
		{"AT+SAPBR=2,1", map[string]string{
			"2g": info("+SAPBR: 1,3,000.000.000.000"), "air724": info("+SAPBR: 1,3,000.000.000.000"),
			"air780e": info("+SAPBR: 1,3,000.000.000.000"), "air780ep": info(`+SAPBR: 1,3,"0.0.0.0"`),
		}},
		{"AT+SAPBR=0,1", map[string]string{"2g": errorLine, "air724": "\r\n+CME ERROR: 3\r\n", "air780e": "\r\n+CME ERROR: 3\r\n", "air780ep": "\r\n+CME ERROR: 3\r\n"}},
		{"AT+SAPBR=1,1", same(okay)},
		{"AT+SAPBR=1,1", map[string]string{"2g": errorLine, "air724": "\r\n+CME ERROR: 3\r\n", "air780e": "\r\n+CME ERROR: 3\r\n", "air780ep": okay}},
		{"AT+SAPBR=2,1", map[string]string{
			"2g": info("+SAPBR: 1,1,010.169.179.213"), "air724": info("+SAPBR: 1,1,010.132.007.044"),
			"air780e": info("+SAPBR: 1,1,010.014.128.009"), "air780ep": info(`+SAPBR: 1,1,"10.159.1.145"`),
		}},
		{"AT+CSTT", same(okay)},
		{"AT+CSTT", map[string]string{"2g": errorLine, "air724": "\r\n+CME ERROR: 3\r\n", "air780e": "\r\n+CME ERROR: 3\r\n", "air780ep": "\r\n+CME ERROR: 3\r\n"}},
		{"AT+CIICR", same(okay)},
		{"AT+CIFSR", map[string]string{"2g": "\r\n010.169.179.213\r\n", "air724": "\r\n010.132.007.044\r\n", "air780e": "\r\n010.014.128.009\r\n", "air780ep": "\r\n10.159.1.145\r\n"}},
		{"AT+CIPSTATUS", same(okay + "\r\nSTATE: IP STATUS\r\n")},
		{`AT+CDNSGIP="a.example"`, same(okay + "\r\n" + `+CDNSGIP: 1,"a.example","203.0.113.7"` + "\r\n")},
		{"AT+CIPSHUT", map[string]string{"2g": "\r\nSHUT OK\r\n", "air724": "\r\nSHUT OK\r\n", "air780e": okay, "air780ep": okay}},
		{"AT+CIPSTATUS", same(okay + "\r\nSTATE: IP INITIAL\r\n")},
		{"AT+MIPCLOSE", map[string]string{"2g": errorLine, "air724": cme767, "air780e": cme767, "air780ep": cme767}},
		{"AT+MDISCONNECT", map[string]string{"2g": errorLine, "air724": cme767, "air780e": cme767, "air780ep": cme767}},
		{"AT+MCONNECT=1,300", map[string]string{"2g": errorLine, "air724": cme767, "air780e": cme767, "air780ep": cme767}},
		{"AT+MQTTSTATU", same(info("+MQTTSTATU :0"))},
		{"AT+MQTTMSGSET?", map[string]string{"2g": info("+MQTTMSGSET: 0"), "air724": info("+MQTTMSGSET: 1"), "air780e": info("+MQTTMSGSET: 0"), "air780ep": info("+MQTTMSGSET: 0")}},
		{"AT+MQTTMODE?", map[string]string{"2g": errorLine, "air724": info("+MQTTMODE: 0"), "air780e": info("+MQTTMODE: 0"), "air780ep": info("+MQTTMODE: 0")}},
		{"AT+MPUBEX=?", map[string]string{
			"2g":     errorLine,
			"air724": info("+MPUBEX: <topic>,(0-2),(0,1)[,(1-4100)]"), "air780e": info("+MPUBEX: <topic>,(0-2),(0,1)[,(1-4100)]"),
			"air780ep": info("+MPUBEX: <topic>,(0-2),(0,1)[,(1-4100)]"),
		}},
		{`AT+MCONFIG="id","",""`, map[string]string{"2g": okay, "air724": okay, "air780e": "\r\n+CME ERROR: 765\r\n", "air780ep": okay}},
		{"AT+CMEE=2", same(okay)},
		{"AT+HTTPTERM", same("\r\n+CME ERROR: operation not allowed\r\n")},
	}
	for _, p := range []string{"2g", "air724", "air780e", "air780ep"} {
		t.Run(p, func(t *testing.T) {
			simulate(t, simcloud.GuideOptions(), Options{Personality: p}, func(r *rig) {
				r.quiet()
				for _, row := range table {
					r.expect(row.command+"\r", row.want[p])
				}
			})
		})
	}
}

// A refused login looks different on each, and leaves the connection down on
// all.
func TestRefusedLogins(t *testing.T) {
	for p, want := range map[string]string{
		"2g":       okay + "\r\nCLOSED\r\n",
		"air724":   "\r\nERROR\r\n\r\nCLOSED\r\n",
		"air780e":  "\r\n+CME ERROR: 3\r\n\r\nCLOSED\r\n",
		"air780ep": "\r\nERROR\r\n",
		// The vendor's page on MCONNECT.
		"air780epm": okay + "\r\nERROR\r\n",
		"air780el":  okay + "\r\nERROR\r\n",
		"air700eaq": okay + "\r\nERROR\r\n",
	} {
		t.Run(p, func(t *testing.T) {
			simulate(t, simcloud.GuideOptions(), Options{Personality: p}, func(r *rig) {
				r.quiet()
				r.bearer()
				wrong := strings.Replace(directConfig, "70e7", "71e7", 1)
				r.expect(wrong+"\r", okay)
				r.expect(guideStart+"\r", okay+"\r\nCONNECT OK\r\n")
				r.expect("AT+MCONNECT=1,300\r", want)
				r.expect("AT+MQTTSTATU\r", "\r\n+MQTTSTATU :0\r\n"+okay)
			})
		})
	}
}

// A message down, in each family's header and default mode.
func TestMessagesDown(t *testing.T) {
	for p, want := range map[string]string{
		"2g":       `+MSUB: "` + guideGet + `",5 byte,a` + "\r\n" + `"b`,
		"air724":   "+MSUB: 0",
		"air780e":  `+MSUB: "` + guideGet + `",5 byte,a` + "\r\n" + `"b`,
		"air780ep": `+MSUB: "` + guideGet + `",5 byte,a` + "\r\n" + `"b`,
	} {
		t.Run(p, func(t *testing.T) {
			simulate(t, simcloud.GuideOptions(), Options{Personality: p}, func(r *rig) {
				r.mqttOn()
				r.ask("AT+MQTTMSGSET=" + map[bool]string{true: "1", false: "0"}[p == "air724"] + "\r")
				r.expect(subOne, okay+"\r\nSUBACK\r\n")
				r.c.Push(guideGet, 1, []byte("a\r\n\"b"))
				r.expect("", "\r\n"+want+"\r\n")
				if p == "air724" {
					r.expect("AT+MQTTMSGGET\r", "\r\n"+`+MSUB: "`+guideGet+`",5 byte,a`+"\r\n\"b\r\n"+okay)
				}
			})
		})
	}
}

// The four slots of cached mode: the oldest is overwritten.
func TestCachedMode(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.mqttOn()
		r.ask(subOne)
		r.expect("AT+MQTTMSGSET=1\r", okay)
		for i := range 5 {
			r.c.Push(guideGet, 0, fmt.Appendf(nil, "m%d", i))
			r.expect("", fmt.Sprintf("\r\n+MSUB: %d\r\n", i%4))
		}
		r.expect("AT+MQTTMSGGET?\r", "\r\n+MQTTMSGGET: 0,VALID\r\n\r\n+MQTTMSGGET: 1,VALID\r\n\r\n+MQTTMSGGET: 2,VALID\r\n\r\n+MQTTMSGGET: 3,VALID\r\n"+okay)
		var want strings.Builder
		for _, m := range []string{"m4", "m1", "m2", "m3"} {
			want.WriteString("\r\n" + `+MSUB: "` + guideGet + `",2 byte,` + m + "\r\n")
		}
		r.expect("AT+MQTTMSGGET\r", want.String()+okay)
		r.expect("AT+MQTTMSGGET?\r", "\r\n+MQTTMSGGET: 0,INVALID\r\n\r\n+MQTTMSGGET: 1,INVALID\r\n\r\n+MQTTMSGGET: 2,INVALID\r\n\r\n+MQTTMSGGET: 3,INVALID\r\n"+okay)
		if n := r.m.Counters().SlotsLost; n != 1 {
			t.Errorf("%d messages overwritten, want 1", n)
		}
	})
}

// The image without TLS and MQTT.
func TestUnsupported(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "unsupported"}, func(r *rig) {
		r.quiet()
		r.expect("AT+CGMR\r", "\r\nAirM2M_V5664_AT_S\r\n"+okay)
		r.bearer()
		for _, c := range []string{"AT+SSLMIPSTART=?", "AT+MIPSTART=?", "AT+MCONFIG=?", "AT+MPUB=?", "AT+MQTTSTATU", "AT+HTTPSSL=1"} {
			r.expect(c+"\r", "\r\nERROR\r\n")
		}
		if got := r.post(authURL, guideAuth); !strings.Contains(got, "+HTTPACTION: 1,605,0") {
			t.Errorf("https: %q, want 605", got)
		}
	})
}

// Without a card.
func TestNoSIM(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep", NoSIM: true}, func(r *rig) {
		if got := r.input.take(); strings.Contains(got, "+CGEV") || !strings.Contains(got, "RDY") {
			t.Errorf("the boot banner is %q", got)
		}
		r.quiet()
		r.expect("AT+CPIN?\r", "\r\n+CME ERROR: 10\r\n")
		r.expect("AT+CCID\r", "\r\n+CME ERROR: 10\r\n")
		r.expect("AT+CREG?\r", "\r\n+CREG: 0,0\r\n"+okay)
		r.expect("AT+CGATT?\r", "\r\n+CGATT: 0\r\n"+okay)
		r.expect("AT+SAPBR=1,1\r", "\r\n+CME ERROR: 3\r\n")
		r.expect(guideStart+"\r", okay+"\r\nSTATE: PDP DEACT\r\n\r\nCONNECT FAIL\r\n")
	})
}

// Only one access point works.
func TestWrongAPN(t *testing.T) {
	for _, p := range []string{"2g", "air780ep"} {
		simulate(t, simcloud.GuideOptions(), Options{Personality: p, APN: "CMIOT"}, func(r *rig) {
			r.quiet()
			r.ask(`AT+SAPBR=3,1,"APN","WRONG"` + "\r")
			if got := r.ask("AT+SAPBR=1,1\r"); !strings.Contains(got, "ERROR") {
				t.Errorf("%s: a wrong APN opened the bearer: %q", p, got)
			}
			r.ask(`AT+SAPBR=3,1,"APN",""` + "\r")
			want := map[string]string{"2g": "\r\nERROR\r\n", "air780ep": okay}[p]
			r.expect("AT+SAPBR=1,1\r", want) // automatic on LTE
			if p == "2g" {
				r.bearer()
			}
		})
	}
}

// None of the settings survives a restart.
func TestSettingsDoNotSurviveARestart(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.mqttOn()
		for _, c := range []string{"AT+MQTTMSGSET=1", "AT+MQTTMODE=1", "AT+CMEE=2", "AT+CREG=1", "AT+HTTPINIT"} {
			r.expect(c+"\r", okay)
		}
		r.expect("AT+RESET\r", okay+`^boot.rom'v'!\n`+"\r\nRDY\r\n\r\n^MODE: 17,17\r\n\r\n+E_UTRAN Service\r\n\r\n+CGEV: ME PDN ACT 1,0\r\n"+
			"\r\n+NITZ: 2000/01/01,00:00:00+0,0\r\n")
		r.expect("AT\r", okay)
		r.expect("AT+CMEE?\r", "AT+CMEE?\r\r\n+CMEE: 1\r\n"+okay) // the echo is back
		r.quiet()
		r.expect("AT+MQTTMSGSET?\r", "\r\n+MQTTMSGSET: 0\r\n"+okay)
		r.expect("AT+MQTTMODE?\r", "\r\n+MQTTMODE: 0\r\n"+okay)
		r.expect("AT+CREG?\r", "\r\n+CREG: 0,1\r\n"+okay)
		r.expect("AT+SAPBR=2,1\r", "\r\n"+`+SAPBR: 1,3,"0.0.0.0"`+"\r\n"+okay)
		r.expect("AT+HTTPTERM\r", "\r\n+CME ERROR: 3\r\n")
		r.expect("AT+MQTTSTATU\r", "\r\n+MQTTSTATU :0\r\n"+okay)
		r.expect(guideStart+"\r", okay+"\r\nCONNECT OK\r\n")
		r.expect("AT+MCONNECT=1,300\r", "\r\n+CME ERROR: 767\r\n") // no MCONFIG
		r.expect("AT+CFUN=1,1\r", okay+`^boot.rom'v'!\n`+"\r\nRDY\r\n\r\n^MODE: 17,17\r\n\r\n+E_UTRAN Service\r\n\r\n+CGEV: ME PDN ACT 1,0\r\n"+
			"\r\n+NITZ: 2000/01/01,00:00:00+0,0\r\n")
		r.quiet()
		r.expect("AT+CPOWD=1\r", okay+"\r\nNORMAL POWER DOWN\r\n")
		r.expect("AT\r", "")
		if n := r.m.Counters().Reboots; n != 2 {
			t.Errorf("%d reboots counted, want 2", n)
		}
	})
}
