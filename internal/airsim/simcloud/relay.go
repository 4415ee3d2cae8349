package simcloud

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// relayPatience bounds each exchange with the broker.
const relayPatience = 10 * time.Second

// Relay connects the simulated cloud to a real MQTT broker until ctx ends:
// what a device publishes appears there under the same topic, and what others
// Publish there to a topic that a device has subscribed to goes down to it. A
// device that subscribes to a topic of its own publications gets them back, as
// from any broker. url is like tcp://127.0.0.1:1883. The broker must be
// reachable at the start; later losses are repaired, and what is published
// meanwhile is lost to the broker.
func (c *Cloud) Relay(ctx context.Context, url string) error {
	again := make(chan struct{}, 1)
	o := mqtt.NewClientOptions().AddBroker(url).
		SetClientID(fmt.Sprintf("airsim-%d", time.Now().UnixNano())).
		SetCleanSession(true).SetAutoReconnect(true).SetMaxReconnectInterval(5 * time.Second).
		SetConnectTimeout(relayPatience).SetWriteTimeout(relayPatience).
		SetOnConnectHandler(func(mqtt.Client) {
			select {
			case again <- struct{}{}:
			default:
			}
		})
	client := mqtt.NewClient(o)
	uplink := c.Watch(ctx)
	if err := await(client.Connect()); err != nil {
		return fmt.Errorf("connect to the broker %s: %w", url, err)
	}
	defer client.Disconnect(250)
	r := relay{cloud: c, client: client}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again:
			r.have = nil // a clean session has forgotten them
			r.sync()
		case <-c.filters:
			r.sync()
		case m, more := <-uplink:
			if !more {
				return nil
			}
			_ = await(client.Publish(m.Topic, m.QoS, false, m.Payload))
		}
	}
}

type relay struct {
	cloud  *Cloud
	client mqtt.Client
	have   []string // subscribed at the broker
}

// sync makes the broker's subscriptions those of the devices.
func (r *relay) sync() {
	want := r.cloud.subscribed()
	for _, f := range want {
		if !slices.Contains(r.have, f) {
			_ = await(r.client.Subscribe(f, 1, func(_ mqtt.Client, m mqtt.Message) {
				r.cloud.Push(m.Topic(), min(m.Qos(), 1), m.Payload())
			}))
		}
	}
	for _, f := range r.have {
		if !slices.Contains(want, f) {
			_ = await(r.client.Unsubscribe(f))
		}
	}
	r.have = want
}

// await waits for the broker's answer, for a bounded time.
func await(t mqtt.Token) error {
	if !t.WaitTimeout(relayPatience) {
		return fmt.Errorf("no answer within %s", relayPatience)
	}
	return t.Error()
}

// subscribed is the union of all sessions' filters, sorted.
func (c *Cloud) subscribed() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, d := range c.devices {
		if d.link != nil {
			for f := range d.link.filters {
				all = append(all, f)
			}
		}
	}
	slices.SortFunc(all, strings.Compare)
	return slices.Compact(all)
}
