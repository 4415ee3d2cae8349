package session

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// The tables of docs/data-cost.md are what the code estimates; the test prints
// the lines that are missing there.
func TestTablesOfCosts(t *testing.T) {
	page, err := os.ReadFile("../../docs/data-cost.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range costTables() {
		if !strings.Contains(string(page), line+"\n") {
			t.Errorf("docs/data-cost.md has no line\n%s", line)
		}
	}
}

func costTables() (lines []string) {
	const (
		topic = "/b1KCi45LcCP/862991419835241/update"
		host  = "b1KCi45LcCP.iot-as-mqtt.cn-shanghai.aliyuncs.com"
		auth  = "https://iot-auth.cn-shanghai.aliyuncs.com/auth/devicename"
	)
	row := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	safe, open := tariff{tls: true}, tariff{}
	for _, n := range []int{16, 100, 256, 1024, 4000} {
		payload := make([]byte, n)
		once := safe.publish(topic, payload, 1)
		row("| %d | %d | %d | %d | %d | %d |", n, once, safe.publish(topic, payload, 0), safe.downlink(topic, payload), open.publish(topic, payload, 1), once*60*24*30/1e6)
	}
	for _, keepalive := range []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute} {
		day := int(24 * time.Hour / keepalive)
		row("| %d | %d | %d | %.1f | %.1f |", int(keepalive.Seconds()), day, day*safe.ping(), float64(day*safe.ping())*30/1e6, float64(day*open.ping())*30/1e6)
	}
	row("| name lookup | %d | %d |", lookUp(host), lookUp(host))
	row("| TCP, and TLS | %d | %d |", safe.open(host), open.open(host))
	row("| login | %d | %d |", safe.login("862991419835241", "PbUqGh2URAj1AtNyyd7X00107ceb00", 32), open.login("862991419835241", "PbUqGh2URAj1AtNyyd7X00107ceb00", 32))
	row("| one subscription | %d | %d |", safe.subscription("/b1KCi45LcCP/862991419835241/get"), open.subscription("/b1KCi45LcCP/862991419835241/get"))
	row("| the end | %d | %d |", safe.farewell(), open.farewell())
	whole := func(t tariff) int {
		return lookUp(host) + t.open(host) + t.login("862991419835241", "PbUqGh2URAj1AtNyyd7X00107ceb00", 32) + t.subscription("/b1KCi45LcCP/862991419835241/get") + t.farewell()
	}
	row("| together | %d | %d |", whole(safe), whole(open))
	row("| HTTPS authentication, every 7 days | %d | |", lookUp("iot-auth.cn-shanghai.aliyuncs.com")+post(auth, "iot-auth.cn-shanghai.aliyuncs.com", 112, 124))
	return lines
}
