package simcloud

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// inboxSize bounds the packets on their way to one module; beyond it a message
// is lost, the end of a connection never.
const inboxSize = 4096

// Packet is something from the cloud for a module: a message, or the end of the
// connection.
type Packet struct {
	At      time.Time
	Link    *Link
	Closed  bool // the end of the connection
	Topic   string
	QoS     byte
	Payload []byte
}

// Inbox is where the cloud leaves packets for a module. Its lock is a leaf.
type Inbox struct {
	wake func()

	mu      sync.Mutex
	packets []Packet
	lost    int
}

func NewInbox(wake func()) *Inbox { return &Inbox{wake: wake} }

func (i *Inbox) put(p Packet) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.packets) >= inboxSize && !p.Closed {
		i.lost++
		return false
	}
	i.packets = append(i.packets, p)
	i.wake()
	return true
}

func (i *Inbox) Take() []Packet {
	i.mu.Lock()
	defer i.mu.Unlock()
	p := i.packets
	i.packets = nil
	return p
}

// Link is one connection to the MQTT endpoint. The cloud's lock guards it.
type Link struct {
	inbox     *Inbox
	device    *device // nil until logged in
	clean     bool
	keepalive time.Duration
	filters   map[string]byte
	ended     bool
	lost      time.Time // the path is cut since then, unknown to the cloud; zero: it is not
}

// Dial reaches the MQTT endpoint, if the name is one of the account's and the
// port is served.
func (c *Cloud) Dial(host string, port int, in *Inbox) (*Link, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.faults.outage || port != 1883 && port != 443 && port != 8883 || !c.resolves(host) {
		return nil, false
	}
	return &Link{inbox: in, filters: map[string]byte{}}, true
}

// resolves says whether a host name exists: <ProductKey>.iot-as-mqtt.<region>,
// the same without a product or with "public", or <instance>.mqtt.iothub
// (Aliyun IoT, endpoints). The ProductKey is case-sensitive here.
func (c *Cloud) resolves(host string) bool {
	name, found := strings.CutSuffix(host, ".aliyuncs.com")
	if !found || strings.ContainsAny(host, " \t") {
		return false
	}
	if instance, hub := strings.CutSuffix(name, ".mqtt.iothub"); hub {
		return instance != ""
	}
	if strings.HasPrefix(name, "iot-as-mqtt.") || strings.HasPrefix(name, "public.iot-as-mqtt.") {
		return true
	}
	key, region, found := strings.Cut(name, ".iot-as-mqtt.")
	_, known := c.o.Products[key]
	return found && known && region != ""
}

// end closes a connection from the cloud's side and tells the module, unless
// the path is cut.
func (c *Cloud) end(l *Link) {
	if l.ended {
		return
	}
	c.release(l)
	if l.lost.IsZero() {
		l.inbox.put(Packet{At: time.Now(), Link: l, Closed: true})
	}
}

// release takes a connection off its device.
func (c *Cloud) release(l *Link) {
	l.ended = true
	if d := l.device; d != nil && d.link == l {
		d.link = nil
		if l.clean {
			d.kept = map[string]byte{}
		} else {
			d.kept = l.filters
		}
	}
	c.filtersChanged()
}

// HangUp is the module closing the connection.
func (c *Cloud) HangUp(l *Link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !l.ended {
		c.release(l)
	}
}

// Disconnect is an MQTT DISCONNECT: the session ends, the connection stays.
func (c *Cloud) Disconnect(l *Link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.ended {
		return
	}
	c.release(l)
	l.ended, l.device = false, nil
	l.filters = map[string]byte{}
}

// Lose cuts the path: nothing arrives any more in either direction, and the
// cloud believes in the session until one and a half keep-alive periods are
// over.
func (c *Cloud) Lose(l *Link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.lost.IsZero() {
		l.lost = time.Now()
	}
}

// Reaches says whether the path between a module and the cloud is whole.
func (c *Cloud) Reaches(l *Link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return l.lost.IsZero()
}

// live returns the session of a device after dropping one whose keep-alive has
// run out.
func (c *Cloud) live(d *device) *Link {
	if l := d.link; l != nil && !l.lost.IsZero() && time.Since(l.lost) > l.keepalive*3/2 {
		c.release(l)
	}
	return d.link
}

// Subscribe adds a filter. A forbidden one is acknowledged like any other, and
// nothing ever comes of it.
func (c *Cloud) Subscribe(l *Link, filter string, qos byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.ended || l.device == nil || !l.lost.IsZero() {
		return
	}
	c.counters.Subscribes++
	if qos > 1 || !l.device.may(filter, true) || len(l.filters) >= 100 {
		c.counters.Forbidden++
		return
	}
	l.filters[filter] = qos
	c.filtersChanged()
}

func (c *Cloud) Unsubscribe(l *Link, filter string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.ended || l.device == nil || !l.lost.IsZero() {
		return
	}
	c.counters.Unsubscribes++
	delete(l.filters, filter)
	c.filtersChanged()
}

// Publish takes a message from a device and says whether it is acknowledged. One
// to a forbidden topic is acknowledged and dropped, or ends the session: user
// reports disagree. One over the rate is dropped without a word (Aliyun IoT,
// limits).
func (c *Cloud) Publish(l *Link, topic string, qos byte, payload []byte) (acknowledged bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l == nil || l.ended || l.device == nil || !l.lost.IsZero() {
		return false
	}
	d := l.device
	if c.throttled(d, qos) {
		c.counters.Throttled++
		return false
	}
	allowed := d.may(topic, false)
	if !allowed {
		c.counters.Forbidden++
		if c.faults.forbiddenCloses {
			c.end(l)
			return false
		}
	}
	if qos > 0 {
		c.counters.PubAcks++
	}
	if !allowed {
		return qos > 0
	}
	c.counters.Publishes++
	c.keep(c.unpacked(Received{At: time.Now(), ProductKey: d.key, DeviceName: d.name, Topic: topic, QoS: qos, Payload: payload}))
	if names := d.key + "/" + d.name; topic == "/ext/ntp/"+names+"/request" && !c.faults.timeless {
		c.tellTime("/ext/ntp/"+names+"/response", payload)
	}
	return qos > 0
}

// tellTime answers a device that asks for the time (Aliyun IoT, NTP service): what it sent
// comes back, with when that came and when the answer went, in milliseconds, as texts.
func (c *Cloud) tellTime(topic string, question []byte) {
	var asked struct {
		DeviceSendTime json.RawMessage `json:"deviceSendTime"`
	}
	if json.Unmarshal(question, &asked) != nil || len(asked.DeviceSendTime) == 0 {
		return
	}
	now := time.Now().Add(c.faults.timeOff).UnixMilli()
	c.push(topic, 0, fmt.Appendf(nil, `{"deviceSendTime":%s,"serverRecvTime":"%d","serverSendTime":"%d"}`, asked.DeviceSendTime, now, now))
}

// throttled says whether a device is over its quota of a QoS in any second, or over the
// ordered rate.
func (c *Cloud) throttled(d *device, qos byte) bool {
	most, class := c.o.Quota[min(qos, 1)], &d.published[min(qos, 1)]
	if c.faults.throttle > 0 {
		most = c.faults.throttle
	}
	if most <= 0 {
		return false
	}
	now := time.Now()
	*class = slices.DeleteFunc(*class, func(t time.Time) bool { return now.Sub(t) >= time.Second })
	if len(*class) >= most {
		return true
	}
	*class = append(*class, now)
	return false
}

// ownTopics are what may stand before the device's names in a topic of its own: nothing,
// or the platform's words (Aliyun IoT, topics).
var ownTopics = regexp.MustCompile(`^(|/sys|/shadow/[^/+#]+|/ext/[^/+#]+|/ota/[^/+#]+/[^/+#]+|/ext/rrpc/[^/]+)$`)

// may says whether a topic or filter is the device's own: its key and name stand
// in it, one behind the other, where they have to. Broadcasts of the product may be
// subscribed.
func (d *device) may(topic string, filter bool) bool {
	good := goodTopic
	if filter {
		good = goodFilter
	}
	if !good(topic) {
		return false
	}
	if filter && strings.HasPrefix(topic, "/broadcast/"+d.key+"/") {
		return true
	}
	own := "/" + d.key + "/" + d.name + "/"
	at := strings.Index(topic+"/", own)
	return at >= 0 && ownTopics.MatchString(topic[:at])
}

// Push sends a message to every device that has subscribed to its topic, and
// returns how many it was handed to. QoS 1 messages are kept for devices that
// are away with clean_session 0.
func (c *Cloud) Push(topic string, qos byte, payload []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.push(topic, qos, payload)
}

func (c *Cloud) push(topic string, qos byte, payload []byte) int {
	n := 0
	for _, d := range c.sorted() {
		l := c.live(d)
		p := Packet{At: time.Now(), Link: l, Topic: topic, QoS: qos, Payload: slices.Clone(payload)}
		switch {
		case l != nil && l.lost.IsZero():
			if wants(l.filters, topic) && l.inbox.put(p) {
				n++
			}
		case qos > 0 && (l != nil && !l.clean && wants(l.filters, topic) || l == nil && wants(d.kept, topic)):
			d.retain(p)
			c.counters.Retained++
		}
	}
	c.counters.Delivered += uint64(n)
	return n
}

func (d *device) retain(p Packet) {
	if len(d.retained) >= maxRetained {
		d.retained = d.retained[1:]
	}
	d.retained = append(d.retained, p)
}

// sorted lists the devices by name, so that equal seeds give equal order.
func (c *Cloud) sorted() []*device {
	var all []*device
	for _, d := range c.devices {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *device) int { return strings.Compare(a.name+"&"+a.key, b.name+"&"+b.key) })
	return all
}

func wants(filters map[string]byte, topic string) bool {
	for f := range filters {
		if falls(topic, f) {
			return true
		}
	}
	return false
}

// filtersChanged wakes the relay.
func (c *Cloud) filtersChanged() {
	select {
	case c.filters <- struct{}{}:
	default:
	}
}
