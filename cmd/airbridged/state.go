package main

import (
	"airbridged/internal/durable"
	"airbridged/internal/provision"
)

// openState opens state.dir, and counts what is written to it.
func openState(dir string) (*durable.Counted, error) {
	if err := provision.Prepare(dir); err != nil {
		return nil, err
	}
	return durable.Count(durable.OnDisk(dir)), nil
}
