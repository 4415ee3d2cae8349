package simcloud

import (
	"slices"
	"strings"
	"time"
)

// Login is an MQTT CONNECT.
type Login struct {
	ClientID, User, Password string
	Clean                    bool
	Keepalive                int // seconds
}

// Return codes of a CONNACK (MQTT 3.1.1 section 3.2.2.3; Aliyun IoT's use of
// them). The module does not show them; they are noted.
const (
	rcAccepted = iota
	rcVersion
	rcIdentifier
	rcUnavailable
	rcMalformed
	rcUnauthorised
)

// Login admits a device and starts its session, or refuses it and closes the
// connection.
func (c *Cloud) Login(l *Link, in Login) (accepted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.ended || !l.lost.IsZero() {
		return false
	}
	d, rc := c.admit(in)
	if rc == rcAccepted && d.hurried(time.Now(), c.o.ConnectsPerMinute) {
		c.counters.OverRate++
		rc = rcUnavailable
	}
	if d != nil {
		d.connects = append(d.connects, time.Now())
	}
	if rc != rcAccepted {
		c.counters.Refused++
		c.happened(Happening{Kind: Refused})
		c.release(l)
		return false
	}
	c.counters.Connects++
	c.happened(Happening{Kind: Connected})
	if old := c.live(d); old != nil {
		c.kick(old)
	}
	d.active = true
	d.link = l
	l.device, l.clean, l.keepalive = d, in.Clean, time.Duration(in.Keepalive)*time.Second
	c.resume(d, l)
	c.filtersChanged()
	return true
}

// resume gives a session with clean_session 0 its filters and messages back.
func (c *Cloud) resume(d *device, l *Link) {
	if l.clean {
		d.kept, d.retained = map[string]byte{}, nil
		return
	}
	for f, q := range d.kept {
		l.filters[f] = q
	}
	for _, p := range d.retained {
		p.Link, p.At = l, time.Now()
		if l.inbox.put(p) {
			c.counters.Delivered++
		}
	}
	d.retained = nil
}

// Admits says whether a login would be accepted now.
func (c *Cloud) Admits(in Login) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, rc := c.admit(in)
	return rc == rcAccepted && !d.hurried(time.Now(), c.o.ConnectsPerMinute)
}

// Refuse closes a connection instead of answering its login.
func (c *Cloud) Refuse(l *Link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !l.ended {
		c.counters.Refused++
		c.release(l)
	}
}

// admit checks a CONNECT: keep-alive 30-1200 s, then either iotId and iotToken
// or the signature of direct authentication.
func (c *Cloud) admit(in Login) (d *device, rc int) {
	if c.faults.outage {
		return nil, rcUnavailable
	}
	name, key, direct := strings.Cut(in.User, "&")
	if direct {
		d, rc = c.admitDirect(in, key, name)
	} else {
		d, rc = c.admitToken(in)
	}
	switch {
	case rc != rcAccepted:
		return d, rc
	case in.Keepalive < 30 || in.Keepalive > 1200:
		return d, rcUnavailable
	case d.disabled:
		return d, rcUnauthorised
	}
	return d, rcAccepted
}

// admitToken checks iotId and iotToken; the client id must be the one that the
// token was asked for, with or without parameters behind it.
func (c *Cloud) admitToken(in Login) (*device, int) {
	t := c.tokens[in.User]
	client, _, _ := strings.Cut(in.ClientID, "|")
	switch {
	case t == nil:
		return nil, rcUnavailable
	case t.secret != in.Password || time.Now().After(t.expires):
		return t.device, rcUnavailable
	case client != t.clientID:
		return t.device, rcIdentifier
	}
	return t.device, rcAccepted
}

// admitDirect checks clientId = <id>|securemode=2,signmethod=...[,timestamp=...]|,
// user = <name>&<key> and the signature over both. securemode is not enforced
// against TLS (vendor logs).
func (c *Cloud) admitDirect(in Login, key, name string) (*device, int) {
	d := c.find(key, name)
	id, rest, found := strings.Cut(in.ClientID, "|")
	params, tail, closed := strings.Cut(rest, "|")
	if !found || !closed || tail != "" || id == "" || len(id) > 64 {
		return d, rcIdentifier
	}
	values := map[string]string{"signmethod": "hmacmd5"}
	for _, p := range strings.Split(params, ",") {
		k, v, _ := strings.Cut(p, "=")
		values[k] = v
	}
	digest, supported := methods(values["signmethod"])
	if !supported || !slices.Contains([]string{"2", "3"}, values["securemode"]) {
		return d, rcIdentifier
	}
	if d == nil {
		return nil, rcUnauthorised
	}
	plain := "clientId" + id + "deviceName" + name + "productKey" + key
	if ts := values["timestamp"]; ts != "" {
		plain += "timestamp" + ts
	}
	if !sameSignature(digest, d.secret, plain, in.Password) {
		return d, rcUnauthorised
	}
	return d, rcAccepted
}

// hurried says whether a device has connected too often in the last minute.
func (d *device) hurried(now time.Time, limit int) bool {
	d.connects = slices.DeleteFunc(d.connects, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	return limit > 0 && len(d.connects) >= limit
}

// kick ends a session because the same device has connected elsewhere: a notice
// that nobody subscribed to, then the end of the connection.
func (c *Cloud) kick(l *Link) {
	if !l.lost.IsZero() {
		c.counters.Ghosts++
		c.release(l)
		return
	}
	c.counters.Kicks++
	l.inbox.put(Packet{
		At: time.Now(), Link: l, Topic: "/ext/notify",
		Payload: []byte(`{"title":"kick","content":"Kicked by the same device"}`),
	})
	c.end(l)
}
