// Package wiring says what the session is handed of a configuration: once, for the
// daemon, the session's tests and the simulation.
//
// It decides nothing, and opens nothing.
package wiring

import (
	"airbridged/internal/air"
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
			Timeouts: air.Timeouts(cfg.Cloud.Timeouts),
		},
		Modem: session.Modem{
			Baud: cfg.Modem.Baud, WorkBaud: cfg.Modem.WorkBaud, APN: cfg.Modem.APN,
		},
		Recovery:  session.Recovery(cfg.Recovery),
		Subscribe: Filters(cfg.Subscribe),
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

// Filters are those of [[subscribe]], as a reload changes them.
func Filters(subscribe []config.Subscribe) []bus.Filter {
	list := make([]bus.Filter, 0, len(subscribe))
	for _, s := range subscribe {
		list = append(list, bus.Filter{Topic: s.Topic, QoS: s.QoS, Keep: s.Keep, Latest: s.Latest})
	}
	return list
}
