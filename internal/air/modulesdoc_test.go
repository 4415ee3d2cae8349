package air

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const modulesPage = "../../docs/modules.md"

// The page is made of the table that the daemon goes by.
func TestModulesPage(t *testing.T) {
	page := modulesText()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(modulesPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(modulesPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != page {
		t.Errorf("%s is not what the table says; write it anew: UPDATE=1 go test ./internal/air -run TestModulesPage", modulesPage)
	}
}

// Every name that a row shows is one that the daemon takes for that row.
func TestModulesTableNamesItself(t *testing.T) {
	for _, row := range modules {
		for _, firmware := range row.Firmware {
			if got := moduleOf(firmware); got.Facts != row.Facts {
				t.Errorf("%s is shown with %s, and taken for %s", firmware, row.Name, got.Name)
			}
		}
		if row.Payload < floorPayload || row.Payload > bestPayload || row.Limit == "" || row.Seen == "" || row.Facts == "" || len(row.Firmware) == 0 {
			t.Errorf("%s: something is missing, or the limit is beyond what is tried: %+v", row.Name, row)
		}
	}
}

func modulesText() string {
	var b strings.Builder
	b.WriteString(`# Modules

What is known of modules and their firmware. The daemon goes by this table (` + "`internal/air/modules.go`" + `, of which a
test makes this page); the first row that fits the name in ` + "`AT+CGMR`" + ` counts.

A limit counts bytes on the wire: behind MPUB a quote, a backslash, CR and LF take three. A **dump** is bytes that a real
module printed, in a log of the vendor or of a user; a **document** is a manual or a change log of the vendor; where
nobody gives a number it is **assumed**. A longer message than an assumed limit is tried, up to ` + fmt.Sprint(bestPayload) + ` bytes, and
learned from: ` + "`+CME ERROR: 50`" + ` at once, ` + "`ERROR`" + ` when it came in two sessions and in the second of them a shorter message
had passed. What is learned is kept by firmware, in ` + "`payload-limits.json`" + ` of the state directory, logged as
` + "`payload-limit-learned`" + `, and named in the error; ` + "`modem.max_payload`" + ` counts before all of it.

Whatever the name says, each module is asked whether it has TLS (` + "`AT+SSLMIPSTART=?`" + `), MQTT (` + "`AT+MCONFIG=?`" + `), a payload
of any bytes (` + "`AT+MPUBEX=?`" + `) and payloads in hexadecimal (` + "`AT+MQTTMODE?`" + `); only the 2G images are judged by name.

| modules | baseband | versions | largest payload | how sure | payload goes by | APN of MQTT | names seen | seen in | facts from |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
`)
	for _, m := range modules {
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %s | %s | %s | %s | %s | %s |\n",
			m.Name, orDash(m.Baseband), m.versions(), m.Payload, m.Limit, m.Carries, orDash(m.APN), "`"+strings.Join(m.Firmware, "` `")+"`", m.Seen, m.Facts)
	}
	b.WriteString(`
No hardware was at hand when this was written. A byte dump of another firmware, or of a limit that is only assumed here,
is welcome.
`)
	return b.String()
}

func (m Module) versions() string {
	switch {
	case m.From > 0 && m.To > 0:
		return fmt.Sprintf("V%d to V%d", m.From, m.To)
	case m.From > 0:
		return fmt.Sprintf("from V%d", m.From)
	case m.To > 0:
		return fmt.Sprintf("to V%d", m.To)
	}
	return "all"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
