package config

import (
	"errors"
	"fmt"
	"strings"
)

// maxSubscriptions is how many subscriptions a device may have (Aliyun limits,
// document 30527).
const maxSubscriptions = 100

// check judges what cannot be judged at one key alone.
func (l *loader) check() {
	c := &l.cfg
	if c.Device.ProductKey == "" && !l.bad["device.product_key"] {
		l.wrong(l.at("device.product_key"), "device.product_key", "is empty, write the ProductKey of the product in the console")
	}
	if c.Modem.ResetGPIO != "" && len(c.Modem.ResetCommand) > 0 {
		l.wrong(l.at("modem.reset_command"), "modem.reset_command", "cannot be used together with modem.reset_gpio, delete one of the two")
	}
	if c.Recovery.BackoffMin > c.Recovery.BackoffMax && !l.bad["recovery.backoff_min"] && !l.bad["recovery.backoff_max"] {
		key := "recovery.backoff_min"
		if _, ok := l.where[key]; !ok {
			key = "recovery.backoff_max"
		}
		l.wrong(l.at(key), key, fmt.Sprintf("backoff_min is %s, above backoff_max of %s, write a smaller minimum or a larger maximum",
			showDuration(c.Recovery.BackoffMin), showDuration(c.Recovery.BackoffMax)))
	}
	l.distinct([]place{{"outbox.dir", trimPath(c.Outbox.Dir)}, {"state.dir", trimPath(c.State.Dir)}, {"downlink.dir", trimPath(c.DownlinkDir())}}, "directory")
	l.distinct([]place{
		{"socket.path", trimPath(c.Socket.Path)},
		{"mqtt.socket", trimPath(c.MQTT.Socket)},
		{"web.listen", unixPath(c.Web.Listen)},
		{"metrics.listen", unixPath(c.Metrics.Listen)},
	}, "socket")
	l.distinct([]place{{"mqtt.listen", c.MQTT.Listen}, {"web.listen", c.Web.Listen}, {"metrics.listen", c.Metrics.Listen}}, "address")
	l.checkRegion()
	l.checkMQTT()
	l.checkWeb()
	l.checkSubscribe()
	l.checkBatch()
	l.checkOnConnect()
	l.checkAccess()
}

// place is a key and the path or address that it names.
type place struct{ key, value string }

// distinct refuses two keys that name the same thing.
func (l *loader) distinct(list []place, what string) {
	for i, a := range list {
		for _, b := range list[i+1:] {
			if a.value == "" || a.value != b.value {
				continue
			}
			key, other := b.key, a.key
			if _, ok := l.where[key]; !ok {
				key, other = other, key
			}
			l.wrong(l.at(key), key, fmt.Sprintf("names the same %s as %s, write another one", what, other))
		}
	}
}

func trimPath(s string) string { return strings.TrimRight(s, "/") }

func unixPath(s string) string {
	path, _ := strings.CutPrefix(s, "unix:")
	if path == s {
		return ""
	}
	return trimPath(path)
}

// checkSubscribe: every [[subscribe]] has a topic that the cloud can take, and
// no two have the same.
func (l *loader) checkSubscribe() {
	seen := map[string]Position{}
	for i, s := range l.cfg.Subscribe {
		place := fmt.Sprintf("subscribe[%d].topic", i)
		if l.bad[place] {
			continue
		}
		at := l.at(place)
		if err := l.subscribable(s.Topic); err != nil {
			l.wrong(at, "subscribe.topic", err.Error())
			continue
		}
		topic := Expand(s.Topic, l.cfg.Device.ProductKey, l.cfg.Device.DeviceName)
		if first, again := seen[topic]; again {
			l.wrong(at, "subscribe.topic", fmt.Sprintf("stands at %s already, delete one of the two", first))
			continue
		}
		seen[topic] = at
	}
	if n := len(l.cfg.Subscribe); n > maxSubscriptions {
		at := l.at(fmt.Sprintf("subscribe[%d].topic", maxSubscriptions))
		l.wrong(at, "subscribe", fmt.Sprintf("there are %d of these, the cloud takes at most %d, use + and #", n, maxSubscriptions))
	}
}

func (l *loader) subscribable(topic string) error {
	if topic == "" {
		return errors.New(`is missing, write the topic filter to subscribe: topic = "/${productKey}/${deviceName}/get"`)
	}
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(topic, "${") {
		return fmt.Errorf("%s begins with $, the cloud has no such topic, delete it", quoted(topic))
	}
	return l.topic(topic)
}

// unready are the keys that this version reads and checks but does not act on
// yet, and what happens instead. A key stands here with its section, a table
// by its name.
var unready = []struct{ key, instead string }{}

// notYet warns of settings that differ from the default, are not turned off,
// and have no effect in this version.
func (l *loader) notYet() {
	plain := Default()
	for _, u := range unready {
		at := l.at(u.key)
		if k, ok := findKey(u.key); ok {
			if now := k.show(&l.cfg); now == k.show(&plain) || now == `""` {
				continue
			}
		} else if at, ok = l.where["["+u.key+"[0]]"]; !ok {
			continue
		}
		l.warn(at, u.key, "this version cannot do that yet: "+u.instead)
	}
}
