package air

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The names under which firmware presents itself (vendor quick guide, vendor
// firmware pages, logs):
//
//	AirM2M_V5664_AT_S_SSL           2G: no model, features at the end
//	AirM2M_Air724UG_V409_LTE_AT     4G: model, version
//	AirM2M_780E_LTE_AT_V1165        4G on release pages: the same, other order
//	LuatOS-SoC_V1004_EC618, Luat_…  Lua firmware: no AT MQTT at all
var (
	airName  = regexp.MustCompile(`AirM2M_[A-Za-z0-9_]+`)
	luatName = regexp.MustCompile(`Luat(?:OS)?[-_][A-Za-z0-9_.-]+`)
	release  = regexp.MustCompile(`^V[0-9]{1,9}$`)
)

// parseFirmware finds the firmware's name in a line of AT+CGMR or ATI: bare,
// behind "+CGMR:" in quotes, or behind "Revision:".
func parseFirmware(text []byte) (string, error) {
	for _, name := range []*regexp.Regexp{airName, luatName} {
		if m := name.Find(text); m != nil {
			return string(m), nil
		}
	}
	return "", malformed("no firmware name in it")
}

// model2G is shown for the 2G modules (Air202, Air208, Air800), whose firmware
// does not name the model.
const model2G = "Air2xx"

// modelOf names the module after its firmware, or "" if that does not tell.
func modelOf(firmware string) string {
	if is2G(firmware) {
		return model2G
	}
	for _, w := range words(firmware) {
		if w[0] >= '0' && w[0] <= '9' {
			return "Air" + w
		}
		if strings.HasPrefix(w, "Air") && len(w) > 3 && w != "AirM2M" {
			return w
		}
	}
	return ""
}

// versionOf returns the number behind V, or 0.
func versionOf(firmware string) int {
	for _, w := range words(firmware) {
		if release.MatchString(w) {
			n, _ := strconv.Atoi(w[1:])
			return n
		}
	}
	return 0
}

// words splits a firmware name; none of them is empty.
func words(firmware string) []string {
	return strings.FieldsFunc(firmware, func(r rune) bool { return r == '_' })
}

// is2G recognises the names for which the quick guide's rule was written: those
// with _AT_S as whole words.
func is2G(firmware string) bool {
	return strings.Contains(firmware+"_", "_AT_S_")
}

func hasAnyPrefix(s string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// echoesData: Air724 V301846 echoes the data of MPUBEX whatever ATE0 says (its
// change log, mended in V301847); payload bytes would come back as lines.
func echoesData(firmware string) bool {
	return hasAnyPrefix(modelOf(firmware), uis8910...) && versionOf(firmware) == 301846
}

// judge applies what the name alone tells: nil means that nothing speaks against
// the firmware, and asked says whether the name is no proof, so that the module
// must be asked for its commands.
func judge(firmware string) (asked bool, err *UnsupportedError) {
	switch {
	case strings.HasPrefix(firmware, "Luat"):
		return false, &UnsupportedError{
			firmware, "runs Lua scripts and has no AT commands for MQTT",
			"flash the vendor's AT firmware for this module (AirM2M_..._LTE_AT)",
		}
	case is2G(firmware):
		// "The version string must contain SSL or NOTTS, otherwise this version
		// does not support Aliyun" (vendor quick guide).
		if strings.Contains(firmware, "SSL") || strings.Contains(firmware, "NOTTS") {
			return false, nil
		}
		return false, &UnsupportedError{
			firmware, "has no TLS",
			"flash AirM2M_V5664_AT_S_SSL, or another version with SSL or NOTTS in its name",
		}
	}
	if lacks := lacking780EL(firmware); lacks != "" {
		return false, &UnsupportedError{firmware, "has no " + lacks, "flash the _MS image of the 780EL, which has MQTT and TLS"}
	}
	return true, nil
}

// lacking780EL names what the small images of the 780EL leave out (vendor's
// firmware page of the EC716S), or "".
func lacking780EL(firmware string) string {
	if !hasAnyPrefix(modelOf(firmware), "Air780EL") {
		return ""
	}
	for _, w := range words(firmware) {
		switch w {
		case "MU", "MULP", "MULP2", "MF":
			return "TLS"
		case "FS", "FU":
			return "MQTT"
		}
	}
	return ""
}
