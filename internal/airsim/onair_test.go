package airsim

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// captured adds up a recording of a real session, by connection.
func captured(t *testing.T, name string) (connections [2]OnAir) {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var n, size int
		var dir, flags string
		if _, err := fmt.Sscan(lines.Text(), &n, &dir, &size, &flags); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		if dir == "up" {
			connections[n].Up += uint64(size)
		} else {
			connections[n].Down += uint64(size)
		}
	}
	return connections
}

// replay lets the model go through the sessions of the recordings.
func replay(tls bool) (connections [2]OnAir) {
	const (
		user, password = "PbUqGh2URAj1AtNyyd7X00107ceb00", "425656f625b64560a4bff2a0f16946a3"
		topic          = "/b1KCi45LcCP/862991419835241/"
	)
	for n := range connections {
		m, now := airMeter{}, time.Now()
		f := m.open("", tls, "", now)
		if tls { // recorded without a server name
			m.add("", up, -sniBytes)
		}
		turn := func(d direction, there, back int) {
			now = now.Add(time.Second)
			f.send("", d, there, now, now)
			if back > 0 {
				f.send("", d.back(), back, now, now)
			}
		}
		turn(up, connectSize(fmt.Sprint("86299141983524", n+1), user, password), ackSize(packets.Connack))
		if n == 0 {
			for range 5 {
				turn(up, publishSize(topic+"update", 1, make([]byte, 100)), ackSize(packets.Puback))
			}
			for range 2 {
				turn(up, 2, 2)
			}
		} else {
			turn(up, subscribeSize(topic+"get"), ackSize(packets.Suback))
			for _, qos := range []byte{0, 1, 1} {
				back := 0
				if qos == 1 {
					back = ackSize(packets.Puback)
				}
				turn(down, publishSize(topic+"get", qos, make([]byte, 200)), back)
			}
		}
		turn(up, encoded(packetOf(packets.Disconnect)), 0)
		f.close("", now)
		connections[n] = m[""]
	}
	return connections
}

// The model of what passes over the air, against real sessions: within 2 % of
// each connection under TLS. Without it 7 %: the packets are as small as the
// acknowledgements there, and a desktop's TCP sends those more eagerly, three
// more of them in a short session.
func TestOnAirIsLikeRealSessions(t *testing.T) {
	for _, c := range []struct {
		file  string
		tls   bool
		bound float64
	}{{"capture-tls12-cbc.txt", true, .02}, {"capture-plain.txt", false, .07}} {
		real, model := captured(t, c.file), replay(c.tls)
		for n := range real {
			got, want := model[n].Sum(), real[n].Sum()
			if d := float64(got)/float64(want) - 1; d < -c.bound || d > c.bound {
				t.Errorf("%s, connection %d: %d bytes in the model, %d in reality (%+.1f %%)", c.file, n, got, want, 100*d)
			}
			t.Logf("%s connection %d: up %d of %d, down %d of %d", c.file, n, model[n].Up, real[n].Up, model[n].Down, real[n].Down)
		}
	}
}
