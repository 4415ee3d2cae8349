// Package simcloud is the simulated cloud of the simulator: registration,
// authentication and the MQTT broker of one account, with its topics, quotas and
// faults. Modules call it, and it leaves what is for them in their bounded inboxes.
//
// It shares no rule with the program that it is used to test, and opens no
// connection but to the broker that it is told to relay to.
package simcloud
