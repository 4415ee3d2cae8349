package atengine

import (
	"bytes"
	"strings"
)

// errorNumber is the number of a word of AT+CMEE=2 (3GPP TS 27.007 section 9.2), or
// [PlainError] where it has none.
func errorNumber(text []byte) int {
	if n, known := errorWords[strings.ToLower(string(bytes.TrimSpace(text)))]; known {
		return n
	}
	return PlainError
}

var errorWords = map[string]int{
	"phone failure": 0, "no connection to phone": 1, "phone-adaptor link reserved": 2, "operation not allowed": 3, "operation not supported": 4,
	"ph-sim pin required": 5, "ph-fsim pin required": 6, "ph-fsim puk required": 7,
	"sim not inserted": 10, "sim pin required": 11, "sim puk required": 12, "sim failure": 13, "sim busy": 14, "sim wrong": 15,
	"incorrect password": 16, "sim pin2 required": 17, "sim puk2 required": 18,
	"memory full": 20, "invalid index": 21, "not found": 22, "memory failure": 23, "text string too long": 24, "invalid characters in text string": 25,
	"dial string too long": 26, "invalid characters in dial string": 27,
	"no network service": 30, "network timeout": 31, "network not allowed - emergency calls only": 32,
	"network personalization pin required": 40, "network personalization puk required": 41,
	"network subset personalization pin required": 42, "network subset personalization puk required": 43,
	"service provider personalization pin required": 44, "service provider personalization puk required": 45,
	"corporate personalization pin required": 46, "corporate personalization puk required": 47,
	"incorrect parameters": 50, "invalid parameter": 53, "invalid command line": 58, "unknown": 100, "unknown error": 100,
	"illegal ms": 103, "illegal me": 106, "gprs services not allowed": 107, "plmn not allowed": 111, "location area not allowed": 112,
	"roaming not allowed in this location area": 113, "service option not supported": 132, "requested service option not subscribed": 133,
	"service option temporarily out of order": 134, "unspecified gprs error": 148, "pdp authentication failure": 149, "invalid mobile class": 150,
}
