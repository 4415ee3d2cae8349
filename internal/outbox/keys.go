package outbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"
)

const (
	// MaxKey is how long an idempotency key may be, in bytes.
	MaxKey = 64
	// rememberedKeys is how many keys are known.
	rememberedKeys = 10_000

	keysName     = "keys"
	keySlot      = 128 // bytes of a key in the file
	keysInSector = sector / keySlot
	keysAtOnce   = 64 << 10 / keySlot // as many more the file takes when it grows
)

// keyID is a key and whose it is.
type keyID struct {
	user uint32
	key  string
}

func keyOf(m *Message) keyID { return keyID{m.User, m.Key} }

// digest tells whether a repeat is one: it is of topic and payload. (The QoS is 1.)
type digest [16]byte

func digestOf(m *Message) (d digest) {
	if m.Key == "" {
		return d
	}
	return digestOfParts([]byte(m.Topic), m.Payload)
}

func digestOfParts(topic, payload []byte) (d digest) {
	h := sha256.New()
	_ = binary.Write(h, binary.LittleEndian, uint64(len(topic)))
	h.Write(topic)
	h.Write(payload)
	copy(d[:], h.Sum(nil))
	return d
}

// keyEntry is what is known of a key.
type keyEntry struct {
	keyID
	digest digest
	seq    uint64
	tail   uint64 // of the message's id
	state  State  // empty: it has not ended
	slot   int    // in the file
}

// keyTable is the keys that are known. Guarded by Queue.mu, but what says
// otherwise. Of a message that has not ended the key is in its record; of one that
// has, in the file, which has a place for it from the beginning: a full disk still
// drains.
type keyTable struct {
	byID    map[keyID]*keyEntry
	bySeq   map[uint64]*keyEntry
	users   map[uint32][]*keyEntry // by age; what was given up is nil
	waiting map[keyID]*request     // for their commit

	slots []*keyEntry
	free  []int
	dirty map[int]bool // sectors of the file to write

	room int // slots that the file has; the committer's
}

func newKeyTable() keyTable {
	return keyTable{
		byID: map[keyID]*keyEntry{}, bySeq: map[uint64]*keyEntry{}, users: map[uint32][]*keyEntry{}, waiting: map[keyID]*request{}, dirty: map[int]bool{},
	}
}

// repeat answers a message whose key is known.
func (q *Queue) repeat(m *Message, d digest) (first Message, known bool, err error) {
	if m.Key == "" {
		return Message{}, false, nil
	}
	e := q.keys.byID[keyOf(m)]
	if e == nil {
		return Message{}, false, nil
	}
	id := encodeID(e.seq, e.tail)
	if e.digest != d {
		return Message{}, true, &Error{Op: "append", ID: id, Err: ErrKey, Hint: hintKey}
	}
	if r, s := q.lookUp(id); s != nil {
		return q.message(r.in, s), true, nil
	}
	if first, known = q.history.get(id); known {
		return first, true, nil
	}
	return Message{ID: id, Topic: m.Topic, Size: len(m.Payload), QoS: 1, State: e.state, Key: m.Key, User: m.User}, true, nil
}

// Repeat says what is known of the message that had m's key, if it is the same
// message. Error: ErrKey.
func (q *Queue) Repeat(m Message) (first Message, known bool, err error) {
	if m.Key == "" {
		return Message{}, false, nil
	}
	d := digestOf(&m)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	return q.repeat(&m, d)
}

// add remembers the key of a message that was accepted.
func (k *keyTable) add(m *Message, d digest, seq, tail uint64) {
	if m.Key != "" {
		k.insert(&keyEntry{keyID: keyOf(m), digest: d, seq: seq, tail: tail})
	}
}

// waitsNot is the end of waiting for a commit.
func (k *keyTable) waitsNot(r *request) {
	if r.m.Key != "" {
		delete(k.waiting, keyOf(&r.m))
	}
}

// insert remembers a key. A younger one of the same name takes its place.
func (k *keyTable) insert(e *keyEntry) {
	if old := k.byID[e.keyID]; old != nil {
		if old.seq > e.seq {
			return
		}
		k.giveUp(old)
	}
	for len(k.byID) >= rememberedKeys {
		k.giveUp(k.oldest())
	}
	if n := len(k.free) - 1; n >= 0 {
		e.slot = k.free[n]
		k.free = k.free[:n]
	} else {
		e.slot = len(k.slots)
		k.slots = append(k.slots, nil)
	}
	k.slots[e.slot] = e
	k.byID[e.keyID], k.bySeq[e.seq] = e, e
	k.users[e.user] = append(k.users[e.user], e)
}

// oldest returns the oldest key of the user with most of them.
func (k *keyTable) oldest() *keyEntry {
	var most []*keyEntry
	for _, list := range k.users {
		if len(list) > len(most) {
			most = list
		}
	}
	return most[0]
}

// giveUp forgets a key.
func (k *keyTable) giveUp(e *keyEntry) {
	delete(k.byID, e.keyID)
	delete(k.bySeq, e.seq)
	k.slots[e.slot] = nil
	k.free = append(k.free, e.slot) // what the file has there is as good as forgotten: too many are cut down at the next start
	list := k.users[e.user]
	if i := slices.Index(list, e); i == 0 {
		list = list[1:]
	} else {
		list = slices.Delete(list, i, i+1)
	}
	if k.users[e.user] = list; len(list) == 0 {
		delete(k.users, e.user)
	}
}

// end notes the final state of a message that may have a key.
func (k *keyTable) end(seq uint64, s State) {
	if len(k.bySeq) == 0 {
		return
	}
	if e := k.bySeq[seq]; e != nil {
		e.state = s
		k.dirty[e.slot/keysInSector] = true
	}
}

// ended says whether a message is known to have ended.
func (k *keyTable) ended(seq uint64) bool {
	e := k.bySeq[seq]
	return e != nil && e.state != ""
}

// unwritten says whether keys of messages that have ended are not on disk.
func (k *keyTable) unwritten() bool { return len(k.dirty) > 0 }

// The states of the file, by number.
var keyStates = []State{"", Acked, Rejected, Expired, Dropped}

// encode puts a key that has ended into its place: checksum (4), number of the
// state (1), length of the key (1), nothing (2), user (4), sequence number (8), end
// of the id (8), digest (16), key. A place of zeros is free.
func (e *keyEntry) encode(b []byte) {
	b[4], b[5] = byte(slices.Index(keyStates, e.state)), byte(len(e.key))
	le.PutUint32(b[8:], e.user)
	le.PutUint64(b[12:], e.seq)
	le.PutUint64(b[20:], e.tail)
	copy(b[28:], e.digest[:])
	copy(b[44:], e.key)
	le.PutUint32(b, crc32.Checksum(b[4:keySlot], castagnoli))
}

func decodeKey(b []byte) (e keyEntry, ok bool) {
	state, n := int(b[4]), int(b[5])
	if crc32.Checksum(b[4:keySlot], castagnoli) != le.Uint32(b) || state == 0 || state >= len(keyStates) || n == 0 || n > MaxKey {
		return e, false
	}
	e = keyEntry{keyID: keyID{le.Uint32(b[8:]), string(b[44 : 44+n])}, seq: le.Uint64(b[12:]), tail: le.Uint64(b[20:]), state: keyStates[state]}
	copy(e.digest[:], b[28:])
	return e, true
}

// readKeys reads the keys of messages that have ended. What is damaged is
// forgotten.
func (ld *loader) readKeys() error {
	b, err := readSmall(ld.home.files, keysName)
	if err != nil {
		return err
	}
	lost := 0
	for i := 0; i+keySlot <= len(b); i += keySlot {
		if e, ok := decodeKey(b[i : i+keySlot]); ok {
			e.slot = i / keySlot
			ld.keys = append(ld.keys, e)
		} else if !isZero(b[i : i+keySlot]) {
			lost++
		}
	}
	ld.keyRoom = len(b) / keySlot
	if lost > 0 {
		ld.note(NoteDamage, "%d idempotency keys are damaged, and forgotten", lost)
	}
	return nil
}

func isZero(b []byte) bool { return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) }

// load takes in what the file of a directory says. What it does not say of keys
// that are known is written into it.
func (k *keyTable) load(list []keyEntry, room int) {
	fresh := len(k.byID) == 0
	k.room = room
	slices.SortFunc(list, func(a, b keyEntry) int { return cmp.Compare(a.seq, b.seq) })
	if fresh { // each keeps its place
		k.slots = make([]*keyEntry, min(room, rememberedKeys))
		k.free = nil
		taken := map[int]bool{}
		for _, e := range list {
			taken[e.slot] = true
		}
		for i := range slices.Backward(k.slots) {
			if !taken[i] {
				k.free = append(k.free, i)
			}
		}
	}
	for i := range list {
		e, slot := &list[i], list[i].slot
		if fresh && slot < len(k.slots) {
			k.free = append(k.free, slot) // insert takes the last one
		}
		if k.insert(e); e.slot != slot {
			k.dirty[e.slot/keysInSector] = true
		}
	}
	if !fresh {
		for i := range k.slots {
			k.dirty[i/keysInSector] = true
		}
	}
}

// makeKeyRoom makes the file long enough for the keys that are known and those that
// wait. Error: what waits with a key cannot be kept.
func (q *Queue) makeKeyRoom() error {
	l := q.log
	q.mu.Lock()
	waiting := len(q.keys.waiting)
	need := min(len(q.keys.byID)+waiting, rememberedKeys)
	q.mu.Unlock()
	if need <= q.keys.room || waiting == 0 {
		return nil
	}
	room := min((need+keysAtOnce-1)/keysAtOnce*keysAtOnce, rememberedKeys)
	f, err := l.home.openOrCreate(keysName)
	if err != nil {
		return fmt.Errorf("%s: %w", keysName, err)
	}
	size := int64(room * keySlot)
	err = f.Allocate(size)
	if errors.Is(err, errors.ErrUnsupported) {
		from := int64(q.keys.room * keySlot)
		err = l.write(f, []chunkOf{{from, make([]byte, size-from)}})
	}
	if err == nil {
		err = l.sync(f)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = l.home.files.SyncDir(".")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", keysName, err)
	}
	q.keys.room = room
	return nil
}

// flushKeys writes the keys of messages that have ended.
func (q *Queue) flushKeys() error {
	chunks := q.takeKeys()
	if len(chunks) == 0 {
		return nil
	}
	l := q.log
	f, err := l.home.openOrCreate(keysName)
	if err == nil {
		err = errors.Join(l.write(f, chunks), f.Close())
	}
	if err != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		for _, c := range chunks {
			q.keys.dirty[int(c.offset/sector)] = true
		}
		return fmt.Errorf("%s: %w", keysName, err)
	}
	return nil
}

// takeKeys returns the sectors to write. Until they are given back they count as
// written.
func (q *Queue) takeKeys() (chunks []chunkOf) {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := &q.keys
	if len(k.dirty) == 0 || q.log.home == nil || !q.log.home.loaded {
		return nil
	}
	for at := range k.dirty {
		b := make([]byte, sector)
		for i := range keysInSector {
			if n := at*keysInSector + i; n < len(k.slots) && k.slots[n] != nil && k.slots[n].state != "" {
				k.slots[n].encode(b[i*keySlot:][:keySlot])
			}
		}
		chunks = append(chunks, chunkOf{int64(at) * sector, b})
	}
	clear(k.dirty)
	return chunks
}
