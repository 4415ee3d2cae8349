package main

import (
	"os"

	"airbridged/internal/access"
	"airbridged/internal/bus"
	"airbridged/internal/config"
	"airbridged/internal/outbox"
)

// newAccess puts the rules of a configuration into effect. The device is who is here, or
// while that is not known, who was here before.
func newAccess(cfg config.Config, board *bus.StatusBoard, before outbox.Device) *access.Control {
	c := access.New(uint32(os.Geteuid()), func() (product, device string) {
		if device = board.DeviceName(); device == "" {
			device = before.DeviceName
		}
		return cfg.Device.ProductKey, device
	})
	c.Set(accessRules(cfg.Access))
	return c
}

// accessRules translates the configuration.
func accessRules(list []config.Access) []access.Rule {
	rules := make([]access.Rule, 0, len(list))
	for _, a := range list {
		uid, gid := a.Subject()
		r := access.Rule{
			Name: a.Name, UID: uid, GID: gid, Client: a.Client, Publish: a.Publish, Subscribe: a.Subscribe,
			Priority: uint8(priorities[a.Priority]), Rate: a.Rate, Share: a.Share, MaxPayload: a.MaxPayload, DropAll: a.Drop == "all",
		}
		for _, word := range a.See {
			r.See |= access.ParseSee(word)
		}
		rules = append(rules, r)
	}
	return rules
}

// priorities are the words of the configuration.
var priorities = map[string]outbox.Priority{"high": outbox.High, "normal": outbox.Normal, "low": outbox.Low}
