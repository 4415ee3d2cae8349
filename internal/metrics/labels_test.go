package metrics

import (
	"airbridged/internal/air"
	"airbridged/internal/ipc"
	"airbridged/internal/mqttd"
	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// labels are the daemon's own, as cmd/airbridged wires them.
var labels = Labels{
	States: Words(recovery.States()), Causes: Words(recovery.Causes()), Rungs: Words(recovery.Rungs()), Kinds: Words(air.EventKinds()),
	Reasons: outbox.Reasons(), ByteCauses: session.ByteCauses(), Paths: ipc.Paths(),
	Fates: mqttd.Outcomes(), Welcomes: mqttd.Results(),
}

var (
	states, rungs, kinds = labels.States, labels.Rungs, labels.Kinds
	byteCauses, routes   = labels.ByteCauses, labels.Paths
	causes               = append([]string{""}, labels.Causes...)
)
