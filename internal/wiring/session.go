// Package wiring says what the session is handed of a configuration: once, for the
// daemon, the session's tests and the simulation.
//
// It decides nothing, and opens nothing.
package wiring

import (
	"cmp"

	"airbridged/internal/air"
	"airbridged/internal/batch"
	"airbridged/internal/bus"
	"airbridged/internal/config"
	"airbridged/internal/provision"
	"airbridged/internal/session"
)

// Session returns the options that stand in a configuration. What the machine and the
// other parts give - the port, the reset line, the stores, the queue, the hub - is for
// the caller to add.
func Session(cfg config.Config) session.Options {
	return session.Options{
		Device: Device(cfg.Device),
		Cloud: session.Cloud{
			HTTPSAuth: cfg.Cloud.Auth == "https", Sign: provision.Method(cfg.Cloud.Sign),
			RegisterURL: cfg.Cloud.RegisterURL(), AuthURL: cfg.Cloud.AuthURL(),
			Host: cfg.MQTTHost(), Port: cfg.Cloud.MQTTPort, TLS: cfg.Cloud.TLS,
			Keepalive: cfg.Cloud.Keepalive, Clean: cfg.Cloud.CleanSession,
			Quota:    [2]int{cfg.Cloud.QuotaQoS0, cfg.Cloud.QuotaQoS1},
			Timeouts: air.Timeouts(cfg.Cloud.Timeouts),
		},
		Modem: session.Modem{
			Baud: cfg.Modem.Baud, WorkBaud: cfg.Modem.WorkBaud, APN: cfg.Modem.APN,
			APNUser: cfg.Modem.APNUser, APNPassword: cfg.Modem.APNPassword, APNAuth: cfg.Modem.APNAuth, APNGiven: cfg.Modem.APNGiven,
		},
		Recovery:  session.Recovery(cfg.Recovery),
		Subscribe: Filters(cfg.Subscribe),
		OnConnect: openings(cfg.OnConnect),
		Expand:    config.Expand,
	}
}

// Device says who the device is, and what proves it, as a reload changes that.
func Device(d config.Device) session.Device {
	return session.Device{
		ProductKey: d.ProductKey, DeviceName: d.DeviceName,
		ProductSecret: d.ProductSecret, DeviceSecret: d.DeviceSecret,
		ProductFrom: d.ProductFrom, DeviceFrom: d.DeviceFrom,
	}
}

// Batch are the rules of [[batch]], as a reload changes them, with the device's names in
// their topics. While the name is not known, an empty one, it stands for any.
func Batch(cfg config.Config) func(deviceName string) batch.Rules {
	return func(deviceName string) batch.Rules {
		name := cmp.Or(cfg.Device.DeviceName, deviceName, "+")
		list := make(batch.Rules, 0, len(cfg.Batch))
		for _, b := range cfg.Batch {
			list = append(list, batch.Rule{
				Topic: config.Expand(b.Topic, cfg.Device.ProductKey, name),
				Form: batch.Form{
					Envelope: batch.Envelope(b.Envelope), Compress: batch.Compression(b.Compress), Dictionary: b.Dictionary, Encoding: batch.Encoding(b.Encoding),
				},
				MaxBytes: b.MaxBytes, MaxMessages: b.MaxMessages, MaxWait: b.MaxWait,
			})
		}
		return list
	}
}

// Filters are those of [[subscribe]], as a reload changes them.
func Filters(subscribe []config.Subscribe) []bus.Filter {
	list := make([]bus.Filter, 0, len(subscribe))
	for _, s := range subscribe {
		list = append(list, bus.Filter{Topic: s.Topic, QoS: s.QoS, Keep: s.Keep, Latest: s.Latest})
	}
	return list
}

func openings(list []config.OnConnect) (openings []session.OnConnect) {
	for _, o := range list {
		openings = append(openings, session.OnConnect{Topic: o.Topic, Payload: o.Payload, WaitFor: o.WaitFor, Wait: o.Wait})
	}
	return openings
}
