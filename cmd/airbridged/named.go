package main

import (
	"slices"
	"sync/atomic"

	"airbridged/internal/config"
	"airbridged/internal/topic"
)

// named are the topics that the configuration itself names for programs: whoever publishes
// to one that is not the device's own is not warned, for it is a sub-device's.
type named struct{ filters atomic.Pointer[[]string] }

// in takes them from a configuration.
func (n *named) in(cfg config.Config) {
	var list []string
	for _, rule := range cfg.Access {
		list = append(list, rule.Publish...)
	}
	for _, rule := range cfg.Batch {
		list = append(list, rule.Topic)
	}
	for i, filter := range list {
		list[i] = config.Expand(filter, cfg.Device.ProductKey, cfg.Device.DeviceName)
	}
	for _, o := range cfg.OnConnect {
		list = append(list, config.Expand(o.Topic, cfg.Device.ProductKey, cfg.Device.DeviceName))
	}
	n.filters.Store(&list)
}

// has says whether one of them names the device of a topic.
func (n *named) has(name string) bool {
	return slices.ContainsFunc(*n.filters.Load(), func(filter string) bool { return topic.Names(filter, name) })
}
