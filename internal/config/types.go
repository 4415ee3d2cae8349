package config

import (
	"io/fs"
	"path/filepath"
	"time"

	"airbridged/internal/passwords"
	"airbridged/internal/secret"
)

// Config is the effective configuration: defaults, main file and drop-ins put
// together and checked.
type Config struct {
	Modem     Modem
	Device    Device
	Cloud     Cloud
	Recovery  Recovery
	Outbox    Outbox
	State     State
	Data      Data
	Socket    Socket
	MQTT      MQTT
	Downlink  Downlink
	Subscribe []Subscribe
	Batch     []Batch
	OnConnect []OnConnect
	Access    []Access
	Web       Web
	Metrics   Metrics
	Log       Log
}

// Modem is [modem]: the serial line and the module behind it.
type Modem struct {
	Device       string   // absolute path of the serial device
	Baud         int      // bit/s; 0: train
	WorkBaud     int      // bit/s after identification; 0: stay
	APN          string   // at most 50 characters (Air AT manual, SAPBR); "": the module's own choice
	APNUser      string   // at most 64 characters; "": the access point wants no login
	APNAuth      string   // "none", "pap" or "chap"
	ResetGPIO    string   // "gpiochipN/LINE" or "gpiochipN/LINE/active-low"; "": none
	ResetCommand []string // program and arguments, no shell; empty: none
	ClockCommand []string // program that sets the system clock, and arguments; empty: none
	MaxPayload   int      // bytes on the wire, 1 to 8192; 0: what the firmware is known to carry

	APNGiven        bool // a file sets APN or APNUser: the module's default context is to be set to it
	APNPasswordFile string
	APNPassword     secret.Text // empty: there is none
	APNPasswordFrom string      // where it lies, for people; "": there is none
}

// Device is [device]: who this device is, and its secrets.
type Device struct {
	ProductKey        string // never empty, at most 63 characters: it is a label of a host name
	DeviceName        string // 4 to 32 characters; "": the module's IMEI
	ProductSecretFile string
	DeviceSecretFile  string
	ProductSecret     secret.Text // empty only if DeviceSecret is not
	DeviceSecret      secret.Text // empty: registered for, and kept in the state directory

	ProductFrom, DeviceFrom string // where each of them lies, for people; "": there is none
}

// Cloud is [cloud]: how and where to log in. Hosts and addresses in effect are
// its methods.
type Cloud struct {
	Region              string
	Instance            string // "" on the old public instance
	Auth                string // "https" or "direct"
	Sign                string // "hmacmd5", "hmacsha1" or "hmacsha256"
	OverrideRegisterURL string // register_url; "": by region
	OverrideAuthURL     string // auth_url; "": by region
	OverrideMQTTHost    string // mqtt_host; "": by instance, or product key and region
	MQTTPort            int    // 1 to 65535
	TLS                 bool
	Keepalive           time.Duration // 30 s to 1200 s in whole seconds (Aliyun limits, document 30527)
	CleanSession        bool
	QuotaQoS1           int // messages in any second, 0 to 1000; 0: any number. The cloud takes 10 (Aliyun limits, document 30527)
	QuotaQoS0           int // the same; the cloud takes 30
	Timeouts            Timeouts
}

// Timeouts is [cloud.timeouts]: how long to wait for each kind of answer, each
// between 100 ms and 1 h.
type Timeouts struct {
	Command time.Duration // the final result of a plain command (AT manual 1.6.3 section 1.4)
	Bearer  time.Duration // attach, bearer, SIM and operator (the same, CGATT and CGACT)
	HTTP    time.Duration // +HTTPACTION (HTTPPARA TIMEOUT is 120 s)
	Connect time.Duration // CONNECT OK
	ConnAck time.Duration // CONNACK OK
	SubAck  time.Duration // SUBACK, UNSUBACK
	PubAck  time.Duration // PUBACK
}

// Recovery is [recovery]: how patient the supervisor is.
type Recovery struct {
	BackoffMin        time.Duration // 10 ms to 24 h, at most BackoffMax
	BackoffMax        time.Duration // 10 ms to 24 h
	StableAfter       time.Duration // 1 s to 24 h
	StatusPoll        time.Duration // 1 s to 1 h
	HardResetsPerHour int           // 0 to 60; 0: never
	ConnectsPerMinute int           // 1 to 60; Aliyun refuses more than 5 a minute (document 30527)
	StartSpread       time.Duration // 0 to 1 h
}

// Outbox is [outbox]: the durable queue.
type Outbox struct {
	Dir          string
	MaxBytes     int64         // bytes, 64 KiB to 1 TiB
	MaxMessages  int           // 1 to 100,000,000
	MaxAge       time.Duration // 0: no limit; at most 10 years
	CommitWindow time.Duration // 0 to 1 s
	WhenFull     string        // "reject" or "drop-oldest"
}

// State is [state]: where credentials and the token are kept.
type State struct {
	Dir string // made 0700
}

// Data is [data]: what the SIM's contract allows.
type Data struct {
	MonthlyBudget int64  // bytes; 0: no budget
	BudgetDay     int    // of the month on which it begins anew, 1 to 28
	WhenOver      string // "warn", "hold-low" or "hold-normal"
}

// Socket is [socket]: the API socket.
type Socket struct {
	Path  string      // absolute, at most 107 bytes (unix(7))
	Mode  fs.FileMode // permission bits only
	Group string      // "": the daemon's own

	MaxConnections int // at once, of all users
}

// MQTT is [mqtt]: the listener for local MQTT clients.
type MQTT struct {
	Socket         string // absolute path; "": off
	Listen         string // loopback host:port; "": off
	PasswordFile   string // in mosquitto's format; "": clients on Listen need no password
	WhenFull       string // "hold" or "refuse"
	MaxConnections int    // 1 to 10,000
	MaxPacket      int64  // bytes, 8 KiB to 16 MiB
	ReceiveMaximum int    // 1 to 65535
	HoldBytes      int64  // bytes, 8 KiB to 64 MiB

	Passwords *passwords.File // what is in PasswordFile; nil: there is none
}

// Downlink is [downlink]: what is kept for programs that are away.
type Downlink struct {
	Dir         string // absolute path; "": see [Config.DownlinkDir]
	MaxBytes    int64  // topics and payloads, of all programs together
	MaxMessages int    // of all programs together
	MaxAge      time.Duration
}

// DownlinkDir is where messages are kept for programs that are away.
func (c Config) DownlinkDir() string {
	if c.Downlink.Dir == "" {
		return filepath.Join(c.State.Dir, "downlink")
	}
	return c.Downlink.Dir
}

// Subscribe is one [[subscribe]] table.
type Subscribe struct {
	Topic string // may hold ${productKey} and ${deviceName}: see Expand
	QoS   byte   // 0 or 1

	Keep   bool // kept on disk until a program acknowledges it, before any has asked for it
	Latest bool // of what is kept, only the newest of each topic
}

// Access is one [[access]] table: what one user, one group or one client may do.
// Exactly one of User, Group, UID, GID and Client is set.
type Access struct {
	Name       string
	User       string
	Group      string
	UID        *int
	GID        *int
	Client     string   // a name of MQTT.PasswordFile
	Publish    []string // topic filters, unexpanded
	Subscribe  []string // topic filters, unexpanded
	Priority   string   // the highest: "high", "normal" or "low"
	Rate       float64  // messages a second; 0: no bound
	Share      int      // of the outbox, 1 to 100 percent
	MaxPayload int      // bytes, 0 to 65536; 0: what the module carries
	Drop       string   // "own" or "all"
	See        []string // of "status", "events", "trace" and "messages"

	uid, gid *uint32 // for whom, as the kernel says it
}

// Subject is for whom the table is, by the kernel's numbers; both are nil where it is
// for a Client.
func (a Access) Subject() (uid, gid *uint32) { return a.uid, a.gid }

// newAccess is a table without a key.
func newAccess() Access { return Access{Priority: "normal", Share: 100, Drop: "own"} }

// Web is [web]: the page on a listener of its own.
type Web struct {
	Listen       string // host:port, or "unix:/path"; "": off
	PasswordFile string // in mosquitto's format; "": nobody is asked for a password

	Passwords *passwords.File // what is in PasswordFile; nil: there is none
}

// Metrics is [metrics].
type Metrics struct {
	Listen string // loopback host:port, or "unix:/path"; "": off
}

// Log is [log].
type Log struct {
	Level  string // "debug", "info", "warn" or "error"
	Format string // "auto", "json" or "console"
}

// Default returns the configuration of an empty file. It is not valid yet: a
// product key and a secret have no default.
func Default() Config {
	return Config{
		Modem: Modem{Device: "/dev/ttyUSB0", APN: "CMIOT", APNAuth: "none"},
		Cloud: Cloud{
			Region: "cn-shanghai", Auth: "https", Sign: "hmacmd5", MQTTPort: 1883, TLS: true,
			Keepalive: 300 * time.Second, CleanSession: true, QuotaQoS1: 10, QuotaQoS0: 30,
			Timeouts: Timeouts{
				Command: 9 * time.Second, Bearer: 108 * time.Second, HTTP: 130 * time.Second, Connect: time.Minute,
				ConnAck: 30 * time.Second, SubAck: 30 * time.Second, PubAck: 30 * time.Second,
			},
		},
		Recovery: Recovery{
			BackoffMin: 2 * time.Second, BackoffMax: 5 * time.Minute, StableAfter: time.Minute,
			StatusPoll: 30 * time.Second, HardResetsPerHour: 4, ConnectsPerMinute: 5,
		},
		Outbox:   Outbox{Dir: "/var/lib/airbridged/outbox", MaxBytes: 64 << 20, MaxMessages: 1_000_000, WhenFull: "reject"},
		Downlink: Downlink{MaxBytes: 16 << 20, MaxMessages: 10_000, MaxAge: 168 * time.Hour},
		Data:     Data{BudgetDay: 1, WhenOver: "warn"},
		State:    State{Dir: "/var/lib/airbridged"},
		Socket:   Socket{Path: "/run/airbridged/airbridged.sock", Mode: 0o660, MaxConnections: 1200},
		MQTT: MQTT{
			Socket: "/run/airbridged/mqtt.sock", WhenFull: "hold",
			MaxConnections: 1200, MaxPacket: 256 << 10, ReceiveMaximum: 64, HoldBytes: 256 << 10,
		},
		Metrics: Metrics{Listen: "127.0.0.1:9481"},
		Log:     Log{Level: "info", Format: "auto"},
	}
}

// MQTTHost returns the MQTT host name: mqtt_host; else the instance's; else the
// old public instance's, which begins with the product key as it is written
// (it is case-sensitive; Aliyun documents 73742 and 147356).
func (c Config) MQTTHost() string {
	switch {
	case c.Cloud.OverrideMQTTHost != "":
		return c.Cloud.OverrideMQTTHost
	case c.Cloud.Instance != "":
		return c.Cloud.Instance + ".mqtt.iothub.aliyuncs.com"
	}
	return c.Device.ProductKey + ".iot-as-mqtt." + c.Cloud.Region + ".aliyuncs.com"
}

// RegisterURL returns the address of dynamic registration (Aliyun document
// 89298).
func (c Cloud) RegisterURL() string {
	if c.OverrideRegisterURL != "" {
		return c.OverrideRegisterURL
	}
	return "https://iot-auth." + c.Region + ".aliyuncs.com/auth/register/device"
}

// AuthURL returns the address that hands out iotId and iotToken (vendor quick
// guide, part 4).
func (c Cloud) AuthURL() string {
	if c.OverrideAuthURL != "" {
		return c.OverrideAuthURL
	}
	return "https://iot-auth." + c.Region + ".aliyuncs.com/auth/devicename"
}
