package outbox

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"airbridged/internal/outbox/files"
)

// A module may be swapped, and with it the device that the cloud knows. What was
// accepted while another device was here, and carries its names in its topic, is not
// this device's to send: the cloud would acknowledge it and drop it. It is Foreign:
// it stays, in its place, under the bounds and its time to live, but neither is it
// handed out, nor does it give way to others, until its device is here again, or
// somebody has it dropped or sent as this device's.

// Device is who the cloud takes the gateway for.
type Device struct {
	ProductKey string `json:"product_key"`
	DeviceName string `json:"device_name"`
}

func (d Device) known() bool { return d.ProductKey != "" && d.DeviceName != "" }

// names is how a topic carries a device's names: one level after the other, as in
// /KEY/NAME/... and /sys/KEY/NAME/....
func (d Device) names() string { return "/" + d.ProductKey + "/" + d.DeviceName + "/" }

func (d Device) in(topic string) bool { return strings.Contains(topic+"/", d.names()) }

// renamed is a topic of a device as another one's.
func (d Device) renamed(topic string, to Device) string {
	return strings.TrimSuffix(strings.ReplaceAll(topic+"/", d.names(), to.names()), "/")
}

// devicesName is the file that remembers which devices were here.
const (
	devicesName  = "devices"
	devicesFresh = "devices.new"
)

// maxDevices bounds what is remembered of each kind; the oldest go first, and then
// it is not known any more whose the messages of that time are. What concerns no
// message that waits goes anyway.
const maxDevices = 64

// arrival is when a device came: the messages after that sequence number were
// accepted as its.
type arrival struct {
	After uint64 `json:"after"`
	Device
}

// retarget is an order to send what was accepted as one device's as another's: the
// messages up to that sequence number get the other's names in their topics.
type retarget struct {
	UpTo uint64 `json:"up_to"`
	From Device `json:"from"`
	To   Device `json:"to"`
}

// devices is which devices were here. Guarded by Queue.mu.
type devices struct {
	Arrivals  []arrival  `json:"arrivals"`
	Retargets []retarget `json:"retargets"`

	here Device // zero: not known yet

	version uint64 // of the lists
	tried   uint64 // up to this version it was tried to write them
	saved   uint64 // this version is on disk
	err     error  // why the last try failed
}

// of returns whose a message is, by its sequence number; zero: not known.
func (d *devices) of(seq uint64) (owner Device) {
	for _, a := range d.Arrivals {
		if a.After < seq {
			owner = a.Device
		}
	}
	return owner
}

// arrive notes that the device that is here came after a message, and says whether
// that is new.
func (d *devices) arrive(after uint64) bool {
	last := func() *arrival {
		if len(d.Arrivals) == 0 {
			return &arrival{}
		}
		return &d.Arrivals[len(d.Arrivals)-1]
	}
	if last().Device == d.here {
		return false
	}
	if len(d.Arrivals) > 0 && last().After == after { // nothing was accepted as that one's
		d.Arrivals = d.Arrivals[:len(d.Arrivals)-1]
	}
	if last().Device != d.here {
		d.Arrivals = append(d.Arrivals, arrival{after, d.here})
	}
	return true
}

// resolve returns whose a message is and under which topic it is sent, after all
// orders to send it as another's. Of these some may be in the topic already.
func (d *devices) resolve(seq uint64, topic string) (owner Device, sent string) {
	owner, sent = d.of(seq), topic
	for _, r := range d.Retargets {
		if seq > r.UpTo || owner != r.From {
			continue
		}
		if owner.in(sent) {
			owner, sent = r.To, owner.renamed(sent, r.To)
		} else if r.To.in(sent) {
			owner = r.To
		}
	}
	return owner, sent
}

// same says whether two messages of a topic are one device's.
func (d *devices) same(a, b uint64, topic string) bool {
	if len(d.Arrivals) < 2 && len(d.Retargets) == 0 {
		return true
	}
	x, _ := d.resolve(a, topic)
	y, _ := d.resolve(b, topic)
	return x == y
}

// foreign says whether a message is another device's. topic is the one under which
// it is sent.
func (d *devices) foreign(seq uint64, topic string) bool {
	if !d.here.known() || len(d.Retargets) == 0 && len(d.Arrivals) == 1 && d.Arrivals[0].Device == d.here {
		return false
	}
	owner, _ := d.resolve(seq, topic)
	return owner.known() && owner != d.here && owner.in(topic)
}

// Device says which device is here. From now on messages are accepted as its; those
// of others that carry their names are [Foreign], and its own are not any more. It
// must be called before Take.
func (q *Queue) Device(here Device) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := &q.devices
	if d.here == here || !here.known() {
		return
	}
	d.here = here
	if d.arrive(q.ids.last) {
		q.devicesChanged()
	}
	q.regroup()
	q.noteForeign()
	q.wake()
}

// noteForeign has those who listen for notes look at what is foreign now.
func (q *Queue) noteForeign() {
	if q.log != nil {
		poke(q.log.notes.more)
	}
}

// devicesChanged has the lists written.
func (q *Queue) devicesChanged() {
	q.devices.version++
	if q.log != nil {
		q.log.signal()
	}
}

// regroup puts all messages where they belong now: under their topics, and in their
// levels or aside.
func (q *Queue) regroup() {
	for _, in := range []*population{&q.kept, &q.held} {
		in.remake(func(seq uint64, topic string) string {
			_, sent := q.devices.resolve(seq, topic)
			return sent
		})
	}
}

// isForeign is for the indexes.
func (q *Queue) isForeign(s *slot, topic string) bool { return q.devices.foreign(s.seq, topic) }

// Retarget has all foreign messages sent as this device's, and returns how many.
// They keep their ids and places. Of a queue on disk it returns when that is
// durable. Errors: ErrInvalid while it is not known which device is here, or ErrDisk:
// they are sent so, but wait again after a restart.
func (q *Queue) Retarget() (n int, err error) {
	version, n, err := q.retarget()
	if err != nil || n == 0 {
		return 0, err
	}
	q.await(func(*segmentLog) bool { return q.devices.tried >= version })
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.log == nil || q.devices.saved >= version:
	case q.devices.err != nil:
		return n, &Error{Op: "retarget", Err: diskError(q.devices.err), Hint: hintRetarget}
	case q.log.closed:
		return n, &Error{Op: "retarget", Err: ErrClosed}
	}
	return n, nil
}

func (q *Queue) retarget() (version uint64, n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	d := &q.devices
	if !d.here.known() {
		return 0, 0, &Error{Op: "retarget", Err: ErrInvalid, Hint: "it is not known yet which device is here: wait until the module was identified"}
	}
	var topics []string
	for _, in := range []*population{&q.kept, &q.held} {
		for pos, s := in.next(in.first); s != nil; pos, s = in.next(pos + 1) {
			if s.nextLevel != aside {
				continue
			}
			n++
			topic := in.topics.list[s.topic].name
			owner, _ := d.resolve(s.seq, topic)
			r := retarget{q.ids.last, owner, d.here}
			if !slices.Contains(d.Retargets, r) {
				d.Retargets = append(d.Retargets, r)
			}
			if s.flags&slotLatest != 0 {
				topics = append(topics, owner.renamed(topic, d.here))
			}
		}
	}
	if n == 0 {
		return 0, 0, nil
	}
	q.devicesChanged()
	q.regroup()
	q.noteForeign()
	slices.Sort(topics)
	for _, topic := range slices.Compact(topics) {
		q.replaceOutdated(topic)
	}
	q.wake()
	return d.version, n, nil
}

// Foreign returns how many messages are another device's, and whose.
func (q *Queue) Foreign() (n int, of []Device) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	for _, in := range []*population{&q.kept, &q.held} {
		if in.asides == 0 {
			continue
		}
		n += in.asides
		for pos, s := in.next(in.first); s != nil; pos, s = in.next(pos + 1) {
			if s.nextLevel != aside {
				continue
			}
			if owner, _ := q.devices.resolve(s.seq, in.topics.list[s.topic].name); !slices.Contains(of, owner) {
				of = append(of, owner)
			}
		}
	}
	return n, of
}

// DropForeign removes all foreign messages, and returns how many. Of a queue on disk
// it returns when that is durable. Error: ErrDisk, as with Drop.
func (q *Queue) DropForeign() (int, error) {
	n := q.dropForeign()
	if err := q.awaitFlush(); err != nil {
		return n, &Error{Op: "drop", Err: err, Hint: hintDropped}
	}
	return n, nil
}

func (q *Queue) dropForeign() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	for _, in := range []*population{&q.kept, &q.held} {
		for pos, s := in.next(in.first); s != nil; pos, s = in.next(pos + 1) {
			if s.nextLevel == aside {
				q.finish(ref{in, s.seq}, drop, ReasonRemoved, ReasonRemoved)
				n++
			}
		}
	}
	q.noteForeign()
	return n
}

// readDevices returns what earlier processes remembered. A damaged file is as good as
// none: then it is not known whose the messages are, and they are sent.
func readDevices(d files.FileSystem) (devices, error) {
	b, err := readSmall(d, devicesName)
	var r devices
	if err != nil || json.Unmarshal(b, &r) != nil {
		return devices{}, err
	}
	return devices{Arrivals: tail(r.Arrivals, maxDevices), Retargets: tail(r.Retargets, maxDevices)}, nil
}

func tail[T any](list []T, most int) []T { return list[max(0, len(list)-most):] }

// devicesKnown is what is known now.
func (q *Queue) devicesKnown() devices {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := q.devices
	d.Arrivals, d.Retargets = slices.Clone(d.Arrivals), slices.Clone(d.Retargets)
	return d
}

// adoptDevices takes in what was read. before is who was here, where nothing is
// remembered: as far as is known, its messages are what is there.
func (q *Queue) adoptDevices(read devices, before Device) {
	d := &q.devices
	d.Arrivals, d.Retargets = append(read.Arrivals, d.Arrivals...), append(read.Retargets, d.Retargets...)
	if len(d.Arrivals) == 0 && before.known() {
		d.Arrivals = []arrival{{0, before}}
		q.devicesChanged()
	}
}

// flushDevices writes the lists if there is something new. While the disk fails it is
// tried again with every commit.
func (q *Queue) flushDevices() {
	b, version, due := q.takeDevices()
	if !due {
		return
	}
	err := q.log.writeSmall(devicesFresh, devicesName, b)
	q.mu.Lock()
	defer q.mu.Unlock()
	d := &q.devices
	if d.tried, d.err = version, err; err == nil {
		d.saved = version
	}
	q.tell()
}

// takeDevices forgets what concerns no message any more.
func (q *Queue) takeDevices() (b []byte, version uint64, due bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := &q.devices
	if d.saved == d.version {
		return nil, 0, false
	}
	oldest := q.ids.last
	if s := q.kept.oldest(); s != nil {
		oldest = s.seq
	}
	for len(d.Arrivals) > 1 && d.Arrivals[1].After < oldest {
		d.Arrivals = d.Arrivals[1:]
	}
	d.Retargets = slices.DeleteFunc(d.Retargets, func(r retarget) bool { return r.UpTo < oldest })
	d.Arrivals, d.Retargets = tail(d.Arrivals, maxDevices), tail(d.Retargets, maxDevices)
	b, err := json.Marshal(d)
	if err != nil {
		return nil, 0, false // texts and numbers: a bug of this package
	}
	return b, d.version, true
}
