package simcloud

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// maxMessages bounds what Messages keeps; the oldest go first.
	maxMessages = 1 << 18
	// maxRetained bounds the QoS 1 messages kept for one device with
	// clean_session 0; the oldest go first.
	maxRetained = 1000
	// WatchQueue bounds what a slow Watch may be behind; newer messages are
	// then lost to it and counted.
	WatchQueue = 4096
	// defaultTokenLife is how long an iotToken is valid (Aliyun IoT, HTTPS
	// authentication).
	defaultTokenLife = 7 * 24 * time.Hour
	// defaultConnects is the cloud's limit of MQTT CONNECTs a minute for one
	// device (Aliyun IoT, limits).
	defaultConnects = 5
)

// Product is one product of the simulated account.
type Product struct {
	// Secret is the ProductSecret.
	Secret string
	// Devices are the pre-registered device names; nil admits any name.
	Devices []string
	// RegistrationOff refuses dynamic registration with 6288.
	RegistrationOff bool
	// DeviceSecrets fixes the secret of devices by name; others get one made
	// from the seed.
	DeviceSecrets map[string]string
}

// FixedToken is an authentication result for golden runs.
type FixedToken struct{ IotID, IotToken string }

// Options says which account to simulate. The zero value is the account of
// the vendor quick guide; see [GuideOptions].
type Options struct {
	// Products by ProductKey; nil is the guide's product.
	Products map[string]Product
	// TokenLife is how long an iotToken is valid; 0 is 7 days.
	TokenLife time.Duration
	// Tokens fixes iotId and iotToken by device name.
	Tokens map[string]FixedToken
	// ConnectsPerMinute is how many MQTT CONNECTs of one device are taken in
	// any minute; 0 is 5, negative is no limit.
	ConnectsPerMinute int
	// Quota is how many messages of one device are taken in any second, by QoS; 0 is
	// no limit (Aliyun IoT, limits: 30 and 10). More are dropped without a word.
	Quota [2]int
	// StrictRegistration hands a DeviceSecret out once, ever. Without it the
	// same one is given again until the device has connected.
	StrictRegistration bool
	// Unpack says of which topics a message holds several readings; the first whose
	// filter fits counts.
	Unpack []Unpacking
	// Seed decides all that is random.
	Seed uint64
	// Observe, if not nil, is told at once what the cloud does. The locks of the
	// cloud and of a module are held: it must neither wait nor call them.
	Observe func(Happening)
}

// GuideOptions is the account of the vendor quick guide, any device admitted,
// with the guide's secret and token for the guide's device.
func GuideOptions() Options {
	return Options{
		Products: map[string]Product{GuideProductKey: {
			Secret:        GuideProductSecret,
			DeviceSecrets: map[string]string{GuideDeviceName: GuideDeviceSecret},
		}},
		Tokens: map[string]FixedToken{GuideDeviceName: {GuideIotID, GuideIotToken}},
	}
}

// Received is a message that the cloud accepted from a device.
type Received struct {
	At         time.Time `json:"at"`
	ProductKey string    `json:"product_key"`
	DeviceName string    `json:"device_name"`
	Topic      string    `json:"topic"`
	QoS        byte      `json:"qos"`
	Payload    []byte    `json:"payload"`
	Readings   [][]byte  `json:"readings"` // in it, as Options.Unpack says; nil: that says nothing of its topic
	Trouble    string    `json:"trouble"`  // why it could not be unpacked
}

// Counters says what the cloud has seen.
type Counters struct {
	Registrations        uint64 `json:"registrations"` // secrets handed out
	RegistrationsRefused uint64 `json:"registrations_refused"`
	Auths                uint64 `json:"auths"` // tokens handed out
	AuthsRefused         uint64 `json:"auths_refused"`
	Connects             uint64 `json:"connects"`  // accepted MQTT logins
	Refused              uint64 `json:"refused"`   // refused MQTT logins
	OverRate             uint64 `json:"over_rate"` // of those, for too many in a minute
	Kicks                uint64 `json:"kicks"`     // living sessions ended by another one of the same device
	Ghosts               uint64 `json:"ghosts"`    // the same for a session whose module had gone
	Subscribes           uint64 `json:"subscribes"`
	Unsubscribes         uint64 `json:"unsubscribes"`
	Publishes            uint64 `json:"publishes"` // accepted
	PubAcks              uint64 `json:"pubacks"`
	Forbidden            uint64 `json:"forbidden"` // publishes and subscriptions to other devices' topics
	Throttled            uint64 `json:"throttled"`
	Delivered            uint64 `json:"delivered"`
	Retained             uint64 `json:"retained"`      // kept for a session with clean_session 0
	WatchDropped         uint64 `json:"watch_dropped"` // lost to a slow Watch
}

// Cloud is the simulated cloud: registration, authentication and the MQTT
// broker of one account. It has no goroutine of its own; modules call it, and
// it puts what is for them into their bounded inboxes.
type Cloud struct {
	o Options

	// mu is taken after a module's lock, never before it.
	mu       sync.Mutex
	rng      *rand.Rand
	devices  map[string]*device // by name&key
	tokens   map[string]*token  // by iotId
	messages []Received
	watchers map[*watcher]struct{}
	counters Counters
	faults   faults
	filters  chan struct{} // 1-buffered: the union of filters may have changed
}

// device is what the cloud knows of one device.
type device struct {
	key, name string
	secret    string
	given     bool // its secret was handed out
	active    bool // it has connected once
	disabled  bool
	connects  []time.Time // of the last minute
	link      *Link       // the session
	kept      map[string]byte
	retained  []Packet       // QoS 1 messages for a session that will come back
	published [2][]time.Time // by QoS, in the last second
}

// token is a valid iotId and iotToken.
type token struct {
	device   *device
	clientID string
	secret   string
	expires  time.Time
}

// watcher is one Watch.
type watcher struct{ c chan Received }

// New builds a cloud.
func New(o Options) *Cloud {
	if o.Products == nil {
		g := GuideOptions()
		o.Products = g.Products
		if o.Tokens == nil {
			o.Tokens = g.Tokens
		}
	}
	if o.TokenLife == 0 {
		o.TokenLife = defaultTokenLife
	}
	if o.ConnectsPerMinute == 0 {
		o.ConnectsPerMinute = defaultConnects
	}
	return &Cloud{
		o:        o,
		rng:      rand.New(rand.NewPCG(o.Seed, 0x434c4f5544)),
		devices:  map[string]*device{},
		tokens:   map[string]*token{},
		watchers: map[*watcher]struct{}{},
		filters:  make(chan struct{}, 1),
	}
}

// find returns a device of the account, or nil when the product or the device
// does not exist.
func (c *Cloud) find(key, name string) *device {
	p, known := c.o.Products[key]
	if !known || name == "" || p.Devices != nil && !slices.Contains(p.Devices, name) {
		return nil
	}
	id := name + "&" + key
	d := c.devices[id]
	if d == nil {
		d = &device{key: key, name: name, secret: p.DeviceSecrets[name], kept: map[string]byte{}}
		if d.secret == "" {
			d.secret = c.made(id, 0, 32)
		}
		c.devices[id] = d
	}
	return d
}

// made is n letters and digits that depend only on the seed, a name and a
// generation, never on the order of requests.
func (c *Cloud) made(name string, generation uint64, n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	rng := rand.New(rand.NewPCG(c.o.Seed^generation, h.Sum64()))
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[rng.IntN(len(alphabet))]
	}
	return string(b)
}

// Messages returns what the cloud accepted so far, the last 262144 messages of
// it.
func (c *Cloud) Messages() []Received {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.messages)
}

// Watch returns every message accepted from now on. The channel is closed when
// ctx ends. It holds 4096 messages; what a slower reader misses is counted.
func (c *Cloud) Watch(ctx context.Context) <-chan Received {
	_, coming := c.Follow(ctx)
	return coming
}

// Follow returns the messages so far and those that follow, with none between.
func (c *Cloud) Follow(ctx context.Context) (past []Received, coming <-chan Received) {
	w := &watcher{c: make(chan Received, WatchQueue)}
	c.mu.Lock()
	past = slices.Clone(c.messages)
	c.watchers[w] = struct{}{}
	c.mu.Unlock()
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watchers, w)
		close(w.c)
	})
	return past, w.c
}

// Counters returns what was counted so far.
func (c *Cloud) Counters() Counters {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counters
}

// keep files a message and tells the watchers.
func (c *Cloud) keep(r Received) {
	if len(c.messages) >= maxMessages {
		n := maxMessages / 4
		c.messages = slices.Clone(c.messages[n:])
	}
	c.messages = append(c.messages, r)
	c.happened(Happening{Kind: MessageTaken, Message: r})
	for w := range c.watchers {
		select {
		case w.c <- r:
		default:
			c.counters.WatchDropped++
		}
	}
}

// DeviceSecret is the secret that the cloud holds for a device, for tests that
// provision one by hand.
func (c *Cloud) DeviceSecret(productKey, deviceName string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.find(productKey, deviceName)
	if d == nil {
		return "", fmt.Errorf("no device %s in product %s", deviceName, productKey)
	}
	return d.secret, nil
}
