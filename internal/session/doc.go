// Package session owns the module: it takes it from power-on to an MQTT session
// with the cloud, keeps it there, and moves messages between the outbox, the
// module and the hub.
//
// One goroutine, the one that calls [Session.Run], owns the serial port and is
// the only caller of the module's commands. Each [recovery.State] is one blocking
// method that reads like the vendor's guide: probing, attaching, registering,
// authenticating, connecting, online. What happens after a failure is decided by
// package recovery, and done by recovering.
//
// The files whose names end in -ing, online.go and run.go are procedures: methods of
// Session that talk to the module and wait. The others are the parts of which a Session
// consists: each owns its fields, decides, and keeps what has to outlive the process.
// No part waits but port, which opens the serial device and finds its speed.
//
// It promises:
//   - one QoS 1 publish in flight at a time, of one message or one batch, and no
//     PUBACK ever credited to another message: when the outcome of a publish is
//     unknown, the MQTT session is torn down before anything else is published,
//     because every way back to online leads through connecting, which begins with
//     the tear-down;
//   - registration only without a stored DeviceSecret, only after the store was
//     proven writable, and the answer durable before it is used;
//   - never more MQTT CONNECTs in any minute than configured, restarts included;
//   - a wrong configuration or a refused credential never resets the module.
//
// It never touches a file format, never signs and never parses AT replies: that
// is what outbox, provision and air are for.
package session
