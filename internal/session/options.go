package session

import (
	"context"
	"io"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/bus"
	"airbridged/internal/durable"
	"airbridged/internal/outbox"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
	"airbridged/internal/secret"
)

// Device says who the device is at the cloud.
type Device struct {
	ProductKey    string
	DeviceName    string // empty: the module's IMEI
	ProductSecret secret.Text
	DeviceSecret  secret.Text // provisioned by hand; then nothing is ever registered
	ProductFrom   string      // where each of them lies, for people: "file /etc/..."; empty: nobody knows
	DeviceFrom    string
}

// Cloud says where the cloud is and how to log in.
type Cloud struct {
	HTTPSAuth   bool // iotId and iotToken; otherwise the MQTT signature
	Sign        provision.Method
	RegisterURL string
	AuthURL     string
	Host        string
	Port        int
	TLS         bool
	Keepalive   time.Duration
	Clean       bool
	Quota       [2]int // messages in any second, by QoS; 0: any number
	Timeouts    air.Timeouts
}

// Modem says how to reach and to reset the module.
type Modem struct {
	Baud     int // 0 trains
	WorkBaud int // raise the line to this speed once the module is known; 0: leave it
	APN      string

	APNUser     string      // "": the access point wants no login
	APNPassword secret.Text // empty: there is none
	APNAuth     string      // "none", "pap" or "chap"
	APNGiven    bool        // the module's default context is to be set to it, where it has one
}

// Recovery bounds how hard the session tries.
type Recovery struct {
	BackoffMin        time.Duration
	BackoffMax        time.Duration
	StableAfter       time.Duration
	StatusPoll        time.Duration
	HardResetsPerHour int
	ConnectsPerMinute int
	StartSpread       time.Duration // 0: the first login after the machine's start waits for nothing
}

func (r Recovery) policy() recovery.Policy {
	return recovery.Policy{BackoffMin: r.BackoffMin, BackoffMax: r.BackoffMax, HardResetsPerHour: r.HardResetsPerHour}
}

// Queue is the outbox as the session sees it.
type Queue interface {
	Ready() <-chan struct{}
	Take() (outbox.Message, bool)
	TakeAlong() (outbox.Message, bool)
	Gather(until time.Time, more int) bool
	Done(id string, s outbox.State, reason string) error
	DoneAll(ids []string, s outbox.State) error
	PutBack(id string) error
	Release(id string) error
	Postpone(id string, d time.Duration) error
	Device(here outbox.Device)
}

// Recorder takes the measurements.
type Recorder interface {
	air.Recorder
	State(state string)
	Transition(from, to, cause string)
	Published(qos int, outcome string, sinceAccepted time.Duration) // negative: not known
	Turnaround(d time.Duration)
	InFlight(n int)
	Recovery(rung, result string)
	Signal(dbm *int)
	Registered(v *bool)
	ModemInfo(model, firmware string)
	CloudBytes(cause string, n int)   // on the air, estimated
	ProgramBytes(source uint8, n int) // those of them that a program's messages took, by outbox.Message.Source
}

// Options is all that a session needs.
type Options struct {
	Device   Device
	Cloud    Cloud
	Modem    Modem
	Recovery Recovery

	// Open opens the serial port at a speed, or fails with a *recovery.Failure whose
	// cause is recovery.PortMissing, recovery.PortDenied or recovery.PortBusy. Closing the port ends a read in progress.
	Open func(baud int) (io.ReadWriteCloser, error)
	// HardReset resets a module that no longer listens to AT+RESET; nil: there is
	// no way to.
	HardReset func(ctx context.Context) error
	Store     *provision.Store
	Queue     Queue
	// Subscribe are the filters kept subscribed even when no program listens;
	// Expand puts the device's names into them.
	Subscribe []bus.Filter
	// OnConnect is published at the begin of each MQTT session, in order, before the queue
	// goes on.
	OnConnect []OnConnect
	Expand    func(topic, productKey, deviceName string) string
	// Named says whether the configuration names a topic that is not the device's own, as
	// that of a sub-device, so that nobody is warned of it; nil: it names none.
	Named    func(topic string) bool
	Hub      *bus.Hub
	Board    *bus.StatusBoard
	Limits   *PayloadLimits
	Flight   *bus.Flight       // takes the AT traffic, redacted; nil: a recorder that nobody reads
	State    durable.Directory // for what has to outlive the process and is no secret
	Recorder Recorder
	Log      *zap.Logger
	Seed     uint64 // of the jitter; 0 draws one

	// JustBooted says that the machine was switched on a moment ago.
	JustBooted bool

	// Random makes the registration's random value; nil is provision.Random.
	Random func() string
}

func (o Options) withDefaults() Options {
	if o.Random == nil {
		o.Random = provision.Random
	}
	if o.Flight == nil {
		o.Flight = bus.NewFlight()
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	return o
}
