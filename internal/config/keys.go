package config

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"airbridged/internal/batch"
)

// key is one key of the configuration: how to set it from a TOML value, and
// how to show it as one. An error of set says what is wrong and what to do.
// Keys of arrays of tables work on the last element.
type key struct {
	name string // dotted, with its section
	set  func(c *Config, v value) error
	show func(c *Config) string // "": not set, leave it out
}

// elements are the arrays of tables.
var elements = []string{"subscribe", "batch", "on_connect", "access"}

// Bounds of waits. The upper one only catches slips of the unit.
const (
	shortest = 100 * time.Millisecond
	longest  = time.Hour
	day      = 24 * time.Hour
)

// keys is the whole configuration, in the order in which Dump shows it.
var keys = []key{
	text("modem.device", func(c *Config) *string { return &c.Modem.Device }, absolute),
	rate("modem.baud", func(c *Config) *int { return &c.Modem.Baud }, rates),
	rate("modem.work_baud", func(c *Config) *int { return &c.Modem.WorkBaud }, trained),
	text("modem.apn", func(c *Config) *string { return &c.Modem.APN }, optional(apn)),
	text("modem.apn_user", func(c *Config) *string { return &c.Modem.APNUser }, optional(apnUser)),
	text("modem.apn_password_file", func(c *Config) *string { return &c.Modem.APNPasswordFile }, optional(secretPath)),
	choice("modem.apn_auth", func(c *Config) *string { return &c.Modem.APNAuth }, "none", "pap", "chap"),
	text("modem.reset_gpio", func(c *Config) *string { return &c.Modem.ResetGPIO }, optional(gpioLine)),
	texts("modem.reset_command", func(c *Config) *[]string { return &c.Modem.ResetCommand }, command),
	texts("modem.clock_command", func(c *Config) *[]string { return &c.Modem.ClockCommand }, command),
	number("modem.max_payload", func(c *Config) *int { return &c.Modem.MaxPayload }, 0, 8192),

	text("device.product_key", func(c *Config) *string { return &c.Device.ProductKey }, optional(productKey)),
	text("device.device_name", func(c *Config) *string { return &c.Device.DeviceName }, optional(deviceName)),
	text("device.product_secret_file", func(c *Config) *string { return &c.Device.ProductSecretFile }, optional(secretPath)),
	text("device.device_secret_file", func(c *Config) *string { return &c.Device.DeviceSecretFile }, optional(secretPath)),

	text("cloud.region", func(c *Config) *string { return &c.Cloud.Region }, region),
	text("cloud.instance", func(c *Config) *string { return &c.Cloud.Instance }, optional(instance)),
	choice("cloud.auth", func(c *Config) *string { return &c.Cloud.Auth }, "https", "direct"),
	choice("cloud.sign", func(c *Config) *string { return &c.Cloud.Sign }, "hmacmd5", "hmacsha1", "hmacsha256"),
	text("cloud.register_url", func(c *Config) *string { return &c.Cloud.OverrideRegisterURL }, optional(httpsURL)),
	text("cloud.auth_url", func(c *Config) *string { return &c.Cloud.OverrideAuthURL }, optional(httpsURL)),
	text("cloud.mqtt_host", func(c *Config) *string { return &c.Cloud.OverrideMQTTHost }, optional(host)),
	number("cloud.mqtt_port", func(c *Config) *int { return &c.Cloud.MQTTPort }, 1, 65535),
	yesNo("cloud.tls", func(c *Config) *bool { return &c.Cloud.TLS }),
	seconds("cloud.keepalive", func(c *Config) *time.Duration { return &c.Cloud.Keepalive }, 30*time.Second, 1200*time.Second),
	yesNo("cloud.clean_session", func(c *Config) *bool { return &c.Cloud.CleanSession }),
	number("cloud.quota_qos1", func(c *Config) *int { return &c.Cloud.QuotaQoS1 }, 0, 1000),
	number("cloud.quota_qos0", func(c *Config) *int { return &c.Cloud.QuotaQoS0 }, 0, 1000),

	duration("cloud.timeouts.command", func(c *Config) *time.Duration { return &c.Cloud.Timeouts.Command }, shortest, longest),
	duration("cloud.timeouts.bearer", func(c *Config) *time.Duration { return &c.Cloud.Timeouts.Bearer }, shortest, longest),
	duration("cloud.timeouts.http", func(c *Config) *time.Duration { return &c.Cloud.Timeouts.HTTP }, shortest, longest),
	duration("cloud.timeouts.connect", func(c *Config) *time.Duration { return &c.Cloud.Timeouts.Connect }, shortest, longest),
	duration("cloud.timeouts.connack", func(c *Config) *time.Duration { return &c.Cloud.Timeouts.ConnAck }, shortest, longest),
	duration("cloud.timeouts.suback", func(c *Config) *time.Duration { return &c.Cloud.Timeouts.SubAck }, shortest, longest),
	duration("cloud.timeouts.puback", func(c *Config) *time.Duration { return &c.Cloud.Timeouts.PubAck }, shortest, longest),

	duration("recovery.backoff_min", func(c *Config) *time.Duration { return &c.Recovery.BackoffMin }, 10*time.Millisecond, day),
	duration("recovery.backoff_max", func(c *Config) *time.Duration { return &c.Recovery.BackoffMax }, 10*time.Millisecond, day),
	duration("recovery.stable_after", func(c *Config) *time.Duration { return &c.Recovery.StableAfter }, time.Second, day),
	duration("recovery.status_poll", func(c *Config) *time.Duration { return &c.Recovery.StatusPoll }, time.Second, longest),
	number("recovery.hard_resets_per_hour", func(c *Config) *int { return &c.Recovery.HardResetsPerHour }, 0, 60),
	number("recovery.connects_per_minute", func(c *Config) *int { return &c.Recovery.ConnectsPerMinute }, 1, 60),
	duration("recovery.start_spread", func(c *Config) *time.Duration { return &c.Recovery.StartSpread }, 0, longest),

	text("outbox.dir", func(c *Config) *string { return &c.Outbox.Dir }, ownDirectory),
	size("outbox.max_bytes", func(c *Config) *int64 { return &c.Outbox.MaxBytes }, 64<<10, 1<<40),
	number("outbox.max_messages", func(c *Config) *int { return &c.Outbox.MaxMessages }, 1, 100_000_000),
	duration("outbox.max_age", func(c *Config) *time.Duration { return &c.Outbox.MaxAge }, 0, 3650*day),
	duration("outbox.commit_window", func(c *Config) *time.Duration { return &c.Outbox.CommitWindow }, 0, time.Second),
	choice("outbox.when_full", func(c *Config) *string { return &c.Outbox.WhenFull }, "reject", "drop-oldest"),

	text("state.dir", func(c *Config) *string { return &c.State.Dir }, ownDirectory),

	sizeOrNone("data.monthly_budget", func(c *Config) *int64 { return &c.Data.MonthlyBudget }, 64<<10, 1<<40),
	number("data.budget_day", func(c *Config) *int { return &c.Data.BudgetDay }, 1, 28),
	choice("data.when_over", func(c *Config) *string { return &c.Data.WhenOver }, "warn", "hold-low", "hold-normal"),

	text("socket.path", func(c *Config) *string { return &c.Socket.Path }, socketPath),
	mode("socket.mode"),
	text("socket.group", func(c *Config) *string { return &c.Socket.Group }, optional(account)),
	number("socket.max_connections", func(c *Config) *int { return &c.Socket.MaxConnections }, 32, 10_000),

	text("mqtt.socket", func(c *Config) *string { return &c.MQTT.Socket }, optional(socketPath)),
	text("mqtt.listen", func(c *Config) *string { return &c.MQTT.Listen }, optional(loopback)),
	text("mqtt.password_file", func(c *Config) *string { return &c.MQTT.PasswordFile }, optional(absolute)),
	choice("mqtt.when_full", func(c *Config) *string { return &c.MQTT.WhenFull }, "hold", "refuse"),
	number("mqtt.max_connections", func(c *Config) *int { return &c.MQTT.MaxConnections }, 1, 10_000),
	size("mqtt.max_packet", func(c *Config) *int64 { return &c.MQTT.MaxPacket }, 8<<10, 16<<20),
	number("mqtt.receive_maximum", func(c *Config) *int { return &c.MQTT.ReceiveMaximum }, 1, 65535),
	size("mqtt.hold_bytes", func(c *Config) *int64 { return &c.MQTT.HoldBytes }, 8<<10, 64<<20),

	text("downlink.dir", func(c *Config) *string { return &c.Downlink.Dir }, optional(ownDirectory)),
	size("downlink.max_bytes", func(c *Config) *int64 { return &c.Downlink.MaxBytes }, 64<<10, 1<<30),
	number("downlink.max_messages", func(c *Config) *int { return &c.Downlink.MaxMessages }, 1, 1_000_000),
	duration("downlink.max_age", func(c *Config) *time.Duration { return &c.Downlink.MaxAge }, time.Minute, 3650*day),

	text("subscribe.topic", func(c *Config) *string { return &last(c.Subscribe).Topic }, required),
	qos("subscribe.qos"),
	yesNo("subscribe.keep", func(c *Config) *bool { return &last(c.Subscribe).Keep }),
	yesNo("subscribe.latest", func(c *Config) *bool { return &last(c.Subscribe).Latest }),

	text("batch.topic", func(c *Config) *string { return &last(c.Batch).Topic }, required),
	choice("batch.envelope", func(c *Config) *string { return &last(c.Batch).Envelope }, batch.Envelopes()...),
	choice("batch.compress", func(c *Config) *string { return &last(c.Batch).Compress }, batch.Compressions()...),
	text("batch.dictionary_file", func(c *Config) *string { return &last(c.Batch).DictionaryFile }, optional(absolute)),
	choice("batch.encoding", func(c *Config) *string { return &last(c.Batch).Encoding }, batch.Encodings()...),
	number("batch.max_bytes", func(c *Config) *int { return &last(c.Batch).MaxBytes }, 0, 8192),
	number("batch.max_messages", func(c *Config) *int { return &last(c.Batch).MaxMessages }, 1, batch.MaxMessages),
	duration("batch.max_wait", func(c *Config) *time.Duration { return &last(c.Batch).MaxWait }, 0, batch.MaxWait),

	text("on_connect.topic", func(c *Config) *string { return &last(c.OnConnect).Topic }, required),
	text("on_connect.payload_file", func(c *Config) *string { return &last(c.OnConnect).PayloadFile }, optional(absolute)),
	text("on_connect.wait_for", func(c *Config) *string { return &last(c.OnConnect).WaitFor }, optional(required)),
	duration("on_connect.wait", func(c *Config) *time.Duration { return &last(c.OnConnect).Wait }, shortest, longest),

	text("access.name", func(c *Config) *string { return &last(c.Access).Name }, optional(title)),
	text("access.user", func(c *Config) *string { return &last(c.Access).User }, account),
	text("access.group", func(c *Config) *string { return &last(c.Access).Group }, account),
	id("access.uid", "user", func(a *Access) **int { return &a.UID }),
	id("access.gid", "group", func(a *Access) **int { return &a.GID }),
	text("access.client", func(c *Config) *string { return &last(c.Access).Client }, required),
	texts("access.publish", func(c *Config) *[]string { return &last(c.Access).Publish }, eachRequired),
	texts("access.subscribe", func(c *Config) *[]string { return &last(c.Access).Subscribe }, eachRequired),
	choice("access.priority", func(c *Config) *string { return &last(c.Access).Priority }, "high", "normal", "low"),
	messageRate("access.rate"),
	share("access.share"),
	number("access.max_payload", func(c *Config) *int { return &last(c.Access).MaxPayload }, 0, 65536),
	choice("access.drop", func(c *Config) *string { return &last(c.Access).Drop }, "own", "all"),
	texts("access.see", func(c *Config) *[]string { return &last(c.Access).See }, eachRequired),

	text("web.listen", func(c *Config) *string { return &c.Web.Listen }, optional(addressOrUnix)),
	text("web.password_file", func(c *Config) *string { return &c.Web.PasswordFile }, optional(absolute)),

	text("metrics.listen", func(c *Config) *string { return &c.Metrics.Listen }, optional(loopbackOrUnix)),

	choice("log.level", func(c *Config) *string { return &c.Log.Level }, "debug", "info", "warn", "error"),
	choice("log.format", func(c *Config) *string { return &c.Log.Format }, "auto", "json", "console"),
}

func last[E any](list []E) *E { return &list[len(list)-1] }

// sectionOf returns the section of a dotted key: all but its last part.
func sectionOf(name string) string {
	return name[:max(0, strings.LastIndexByte(name, '.'))]
}

// lastPart returns the key without its section.
func lastPart(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// sections lists every section once, in order.
func sections() []string {
	var list []string
	for _, k := range keys {
		if s := sectionOf(k.name); !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

func findKey(name string) (key, bool) {
	i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
	if i < 0 {
		return key{}, false
	}
	return keys[i], true
}

// header writes the header of a section.
func header(section string) string {
	if slices.Contains(elements, section) {
		return "[[" + section + "]]"
	}
	return "[" + section + "]"
}

// keyName joins the parts of a key for a message. A part that is no bare key
// is quoted, so that nothing in it can break the line.
func keyName(path []string) string {
	more := ""
	if len(path) > 5 {
		path, more = path[:5], "..."
	}
	parts := make([]string, len(path))
	for i, p := range path {
		parts[i] = p
		if !bare(p) {
			parts[i] = strconv.QuoteToASCII(shorten(p))
		}
	}
	return strings.Join(parts, ".") + more
}

func bare(s string) bool {
	return s != "" && len(s) <= 60 && strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
	}) < 0
}
