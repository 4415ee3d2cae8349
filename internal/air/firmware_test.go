package air

import (
	"strings"
	"testing"
)

func TestParseFirmware(t *testing.T) {
	for line, want := range map[string]string{
		"AirM2M_V5664_AT_S_SSL":               "AirM2M_V5664_AT_S_SSL",
		`+CGMR: "AirM2M_780EP_V1007_LTE_AT"`:  "AirM2M_780EP_V1007_LTE_AT",
		"+CGMR: AirM2M_720U_V401881_LTE_AT":   "AirM2M_720U_V401881_LTE_AT",
		"Revision: AirM2M_780E_V1169_LTE_AT":  "AirM2M_780E_V1169_LTE_AT",
		"Revision:AirM2M_780E_V1169_LTE_AT  ": "AirM2M_780E_V1169_LTE_AT",
		"LuatOS-SoC_V1004_EC618":              "LuatOS-SoC_V1004_EC618",
		"Luat_V0037_RDA8910_TTS_NOLVGL_FLOAT": "Luat_V0037_RDA8910_TTS_NOLVGL_FLOAT",
		"AirM2M_":                             "",
		"Quectel":                             "",
		"OK":                                  "",
		"AirM2M":                              "",
	} {
		got, err := parseFirmware([]byte(line))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
}

func TestModelVersionAndLimit(t *testing.T) {
	for _, c := range []struct {
		firmware, model string
		version, limit  int // a limit that is only assumed is negative
	}{
		{"AirM2M_V5664_AT_S_SSL", "Air2xx", 5664, -1360},
		{"AirM2M_V5595_AT_S_NOTTS", "Air2xx", 5595, -1360},
		{"AirM2M_Air724UG_V409_LTE_AT", "Air724UG", 409, -1360},
		{"AirM2M_720U_V401881_LTE_AT", "Air720U", 401881, 2348},
		{"AirM2M_720U_V301825_LTE_AT", "Air720U", 301825, -1360},
		{"AirM2M_720U_V301826_LTE_AT", "Air720U", 301826, 2348},
		{"AirM2M_Air724UG_V401857_LTE_AT", "Air724UG", 401857, 2348},
		{"AirM2M_720_V296_LTE_AT_NAND", "Air720", 296, -1360},
		{"AirM2M_720SL_V545_LTE_AT", "Air720SL", 545, -1360},
		{"AirM2M_780E_V1161_LTE_AT", "Air780E", 1161, 4100},
		{"AirM2M_780E_LTE_AT_V1165", "Air780E", 1165, 4100},
		{"AirM2M_780E_V1171_LTE_LSAT", "Air780E", 1171, 4100},
		{"AirM2M_780EG_V1174_LTE_AT", "Air780EG", 1174, 4100},
		{"AirM2M_780EPV_V1011_LTE_AT", "Air780EPV", 1011, 4100},
		{"AirM2M_780EL_V1006_LTE_AT_MS", "Air780EL", 1006, 4100},
		{"AirM2M_780EL_V1004_LTE_AT_MS", "Air780EL", 1004, 4100},
		// Limits that vendor documents give, of firmware that was given the smallest
		// number there is, so that larger messages were refused for good.
		{"AirM2M_700EAQ_V2015_LTE_AT", "Air700EAQ", 2015, 5120},
		{"AirM2M_700ECQ_V2016_LTE_AT", "Air700ECQ", 2016, 5120},
		{"AirM2M_700EMQ_V2014_LTE_AT", "Air700EMQ", 2014, 4100},
		{"AirM2M_700EQ_LTE_AT_V2015", "Air700EQ", 2015, 5120},
		{"AirM2M_780EQ_V2015_LTE_AT", "Air780EQ", 2015, 5120},
		{"AirM2M_780EQ_V2001_LTE_AT", "Air780EQ", 2001, 4100},
		{"AirM2M_780EPM_V2007_LTE_AT", "Air780EPM", 2007, 4100},
		{"AirM2M_780EX_V1174_LTE_LSAT", "Air780EX", 1174, 4100},
		{"AirM2M_780E_V1149_LTE_LPAT", "Air780E", 1149, 4100},
		{"AirM2M_Air795UG_V401881_LTE_AT", "Air795UG", 401881, 2348},
		{"AirM2M_Air820UG_V401881_LTE_AT", "Air820UG", 401881, 2348},
		{"AirM2M_720U_V837_LTE_AT", "Air720U", 837, -1360},
		{"AirM2M_720U_V838_LTE_AT", "Air720U", 838, 2384},
		{"AirM2M_720U_V907_LTE_AT", "Air720U", 907, 2384},
		{"AirM2M_720U_V1628_LTE_AT", "Air720U", 1628, 2384},
		{"AirM2M_720U_V1629_LTE_AT", "Air720U", 1629, -1360},
		{"AirM2M_780P_V1002_LTE_QAT", "Air780P", 1002, -1360},
		{"AirM2M_VERSION", "", 0, -1360},
		{"EC20CEFAGR06A05M4G", "", 0, -1360},
		{"", "", 0, -1360},
	} {
		if got := modelOf(c.firmware); got != c.model {
			t.Errorf("%s: model %q, want %q", c.firmware, got, c.model)
		}
		if got := versionOf(c.firmware); got != c.version {
			t.Errorf("%s: version %d, want %d", c.firmware, got, c.version)
		}
		row := moduleOf(c.firmware)
		got := row.Payload
		if row.Limit == Assumed {
			got = -got
		}
		if got != c.limit {
			t.Errorf("%s: limit %d, want %d", c.firmware, got, c.limit)
		}
	}
}

// The rule of the quick guide where it holds, the known small images, Lua
// firmware; all others must be asked.
func TestJudge(t *testing.T) {
	for firmware, want := range map[string]string{
		"AirM2M_V5664_AT_S_SSL":               "good",
		"AirM2M_V5595_AT_S_NOTTS":             "good",
		"AirM2M_V5664_AT_S":                   "no TLS",
		"AirM2M_V5664_AT_S_TTS":               "no TLS",
		"AirM2M_Air724UG_V409_LTE_AT":         "ask",
		"AirM2M_780EP_V1007_LTE_AT":           "ask",
		"AirM2M_780E_LTE_AT_V1165":            "ask",
		"AirM2M_780E_V1161_LTE_AT_STAGING":    "ask", // _AT_S only as a whole word
		"AirM2M_780EL_V1006_LTE_AT_MS":        "ask",
		"AirM2M_780EL_V1006_LTE_AT_MU":        "no TLS",
		"AirM2M_780EL_MULP_V1006_LTE_AT":      "no TLS",
		"AirM2M_780EL_V1006_LTE_AT_MULP2":     "no TLS",
		"AirM2M_780EL_V1006_LTE_AT_MF":        "no TLS",
		"AirM2M_780EL_V1006_LTE_AT_FU":        "no MQTT",
		"AirM2M_780EL_V1006_LTE_AT_FS":        "no MQTT",
		"AirM2M_780E_V1161_LTE_AT_MU":         "ask", // the suffixes are the 780EL's
		"LuatOS-SoC_V1004_EC618":              "Lua",
		"Luat_V0037_RDA8910_TTS_NOLVGL_FLOAT": "Lua",
		"EC20CEFAGR06A05M4G":                  "ask",
	} {
		asked, err := judge(firmware)
		got := "good"
		switch {
		case err != nil:
			got = err.Reason
			if !strings.Contains(err.Error(), firmware) || !strings.Contains(err.Hint, "flash") {
				t.Errorf("%s: the error must name the firmware and what to flash: %v", firmware, err)
			}
		case asked:
			got = "ask"
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", firmware, got, want)
		}
	}
}

// Air724 V301846 gives MPUBEX data back as an echo whatever ATE0 says.
func TestEchoesData(t *testing.T) {
	for firmware, want := range map[string]bool{
		"AirM2M_720U_V301846_LTE_AT": true, "AirM2M_Air724UG_V301846_LTE_AT": true,
		"AirM2M_720U_V301847_LTE_AT": false, "AirM2M_780E_V301846_LTE_AT": false,
	} {
		if got := echoesData(firmware); got != want {
			t.Errorf("%s: %v", firmware, got)
		}
	}
}
