package packet

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// unhex reads bytes as the standards print them; text stands in quotes.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var out []byte
	for i, part := range strings.Split(s, "'") {
		if i%2 == 1 {
			out = append(out, part...)
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
		if err != nil {
			t.Fatalf("%q: %v", part, err)
		}
		out = append(out, b...)
	}
	return out
}

func text16(s string) *string { return &s }

// wire are packets as real clients and the standards' figures have them.
var wire = []struct {
	name  string
	level byte
	bytes string
	want  Packet
}{
	{
		"mosquitto_pub 3.1.1", 4, "10 10 00 04 'MQTT' 04 02 00 3c 00 04 'abcd'",
		&Connect{Level: 4, CleanStart: true, KeepAlive: 60, ClientID: "abcd"},
	},
	{
		"3.1 of paho.mqtt.golang that was closed once", 3, "10 0f 00 06 'MQIsdp' 03 02 00 1e 00 01 'p'",
		&Connect{Level: 3, CleanStart: true, KeepAlive: 30, ClientID: "p"},
	},
	{
		"a bridge of mosquitto, with its will", 4, "10 28 00 04 'MQTT' 84 2c 00 3c 00 02 'gw' 00 15 '$SYS/broker/c/gw/stat' 00 01 '0'",
		&Connect{Level: 4, Bridge: true, KeepAlive: 60, ClientID: "gw", Will: &Will{Topic: "$SYS/broker/c/gw/stat", Payload: []byte("0"), QoS: 1, Retain: true}},
	},
	{
		"a bridge on 3.1", 3, "10 0e 00 06 'MQIsdp' 83 00 00 3c 00 00",
		&Connect{Level: 3, Bridge: true, KeepAlive: 60},
	},
	{
		"name, password and properties", 5, "10 1f 00 04 'MQTT' 05 c2 00 3c 05 11 00 00 00 0a 00 01 'c' 00 04 'user' 00 04 'pass'",
		&Connect{Level: 5, CleanStart: true, KeepAlive: 60, ClientID: "c", Properties: Properties("\x11\x00\x00\x00\x0a"), Username: text16("user"), Password: []byte("pass")},
	},
	{
		"a will with a delay", 5, "10 1a 00 04 'MQTT' 05 0c 00 00 00 00 01 'c' 05 18 00 00 00 05 00 01 't' 00 01 'p'",
		&Connect{Level: 5, ClientID: "c", Will: &Will{Topic: "t", Payload: []byte("p"), QoS: 1, Properties: Properties("\x18\x00\x00\x00\x05")}},
	},
	{"", 4, "20 02 01 00", &Connack{SessionPresent: true}},
	{"", 5, "20 06 00 87 03 21 00 40", &Connack{Code: NotAuthorized, Properties: Properties("\x21\x00\x40")}},
	{"", 4, "30 06 00 02 '/a' 'hi'", &Publish{Topic: "/a", Payload: []byte("hi")}},
	{"DUP, QoS 2, retain", 4, "3d 07 00 02 '/a' 00 07 'x'", &Publish{Dup: true, QoS: 2, Retain: true, Topic: "/a", ID: 7, Payload: []byte("x")}},
	{"", 5, "32 0c 00 02 '/a' 00 07 05 02 00 00 00 3c", &Publish{QoS: 1, Topic: "/a", ID: 7, Properties: Properties("\x02\x00\x00\x00\x3c"), Payload: []byte{}}},
	{"two subscription identifiers", 5, "30 09 00 02 '/a' 04 0b 01 0b 02", &Publish{Topic: "/a", Properties: Properties("\x0b\x01\x0b\x02"), Payload: []byte{}}},
	{"", 4, "40 02 00 07", &Ack{Kind: PUBACK, ID: 7}},
	{"", 5, "40 02 00 07", &Ack{Kind: PUBACK, ID: 7}},
	{"", 5, "50 03 00 07 92", &Ack{Kind: PUBREC, ID: 7, Code: IDNotFound}},
	{"", 4, "62 02 00 07", &Ack{Kind: PUBREL, ID: 7}},
	{"", 5, "70 0a 00 07 95 06 1f 00 03 'big'", &Ack{Kind: PUBCOMP, ID: 7, Code: TooLarge, Properties: Properties("\x1f\x00\x03big")}},
	{"", 4, "82 0c 00 01 00 02 '/a' 01 00 02 '/b' 00", NewSubscribe(4, 1, nil, Subscription{Filter: "/a", QoS: 1}, Subscription{Filter: "/b"})},
	{
		"a bridge on 5: no local, retain as published", 5, "82 0a 00 01 02 0b 05 00 02 '/a' 0d",
		NewSubscribe(5, 1, Properties("\x0b\x05"), Subscription{Filter: "/a", QoS: 1, NoLocal: true, RetainAsPublished: true}),
	},
	{"", 4, "90 04 00 01 01 80", &Suback{Kind: SUBACK, ID: 1, Codes: []byte{1, 0x80}}},
	{"", 4, "a2 06 00 01 00 02 '/a'", NewUnsubscribe(1, nil, "/a")},
	{"", 4, "b0 02 00 01", &Suback{Kind: UNSUBACK, ID: 1, Codes: []byte{}}},
	{"", 5, "b0 04 00 01 00 11", &Suback{Kind: UNSUBACK, ID: 1, Codes: []byte{0x11}}},
	{"", 4, "c0 00", &Ping{PINGREQ}},
	{"", 4, "d0 00", &Ping{PINGRESP}},
	{"", 4, "e0 00", &Disconnect{}},
	{"", 5, "e0 07 04 05 11 00 00 00 00", &Disconnect{Code: DisconnectWithWill, Properties: Properties("\x11\x00\x00\x00\x00")}},
	{"", 5, "f0 07 18 05 15 00 02 'ab'", &Auth{Code: 0x18, Properties: Properties("\x15\x00\x02ab")}},
}

// TestWire: every packet is read as it was meant, and written as it was read.
func TestWire(t *testing.T) {
	for _, c := range wire {
		t.Run(c.want.Type().String()+" "+c.name, func(t *testing.T) {
			raw := unhex(t, c.bytes)
			first, body, err := NewReader(bytes.NewReader(raw), 1000).Next()
			if err != nil {
				t.Fatal(err)
			}
			got, err := Decode(first, body, c.level)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("read as\n%+v, want\n%+v", got, c.want)
			}
			if again := Append(nil, got, c.level); !bytes.Equal(again, raw) {
				t.Errorf("written as %x, want %x", again, raw)
			}
			if p, ok := got.(*Publish); ok && p.Size(c.level) != len(raw) {
				t.Errorf("Size %d, want %d", p.Size(c.level), len(raw))
			}
		})
	}
}

// TestRefused: what is no packet, with the code that level 5 answers.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		level byte
		bytes string
		want  Code
	}{
		{"type 0", 4, "00 00", MalformedPacket},
		{"AUTH before level 5", 4, "f0 00", MalformedPacket},
		{"reserved bits of PINGREQ", 4, "c1 00", MalformedPacket},
		{"SUBSCRIBE without its 2", 4, "80 07 00 01 00 02 '/a' 01", MalformedPacket},
		{"PUBREL without its 2", 4, "60 02 00 01", MalformedPacket},
		{"a protocol that is not MQTT", 4, "10 0c 00 04 'AMQP' 04 02 00 3c 00 00", ProtocolError},
		{"level 6", 4, "10 0c 00 04 'MQTT' 06 02 00 3c 00 00", UnsupportedLevel},
		{"MQTT with the level of MQIsdp", 4, "10 0c 00 04 'MQTT' 03 02 00 3c 00 00", UnsupportedLevel},
		{"reserved flag of CONNECT", 4, "10 0c 00 04 'MQTT' 04 03 00 3c 00 00", MalformedPacket},
		{"QoS of no will", 4, "10 0c 00 04 'MQTT' 04 08 00 3c 00 00", MalformedPacket},
		{"QoS 3 of a will", 4, "10 12 00 04 'MQTT' 04 1c 00 3c 00 00 00 01 't' 00 01 'p'", MalformedPacket},
		{"password without name", 4, "10 0f 00 04 'MQTT' 04 40 00 3c 00 00 00 01 'p'", MalformedPacket},
		{"CONNECT with a tail", 4, "10 0d 00 04 'MQTT' 04 02 00 3c 00 00 00", MalformedPacket},
		{"CONNECT cut short", 4, "10 09 00 04 'MQTT' 04 02 00", MalformedPacket},
		{"U+0000 in a client id", 4, "10 0d 00 04 'MQTT' 04 02 00 3c 00 01 00", MalformedPacket},
		{"a surrogate in a topic", 4, "30 05 00 03 ed a0 80", MalformedPacket},
		{"QoS 3", 4, "36 06 00 02 '/a' 00 01", MalformedPacket},
		{"DUP of QoS 0", 4, "38 04 00 02 '/a'", MalformedPacket},
		{"identifier 0", 4, "32 06 00 02 '/a' 00 00", ProtocolError},
		{"a topic longer than the packet", 4, "30 04 00 09 '/a'", MalformedPacket},
		{"no filter", 4, "82 02 00 01", ProtocolError},
		{"an empty filter", 4, "82 05 00 01 00 00 00", ProtocolError},
		{"options of 5 in 3.1.1", 4, "82 07 00 01 00 02 '/a' 05", MalformedPacket},
		{"QoS 3 of a filter", 5, "82 08 00 01 00 00 02 '/a' 03", MalformedPacket},
		{"retain handling 3", 5, "82 08 00 01 00 00 02 '/a' 31", ProtocolError},
		{"no local, shared", 5, "82 0f 00 01 00 00 09 '$share/a/' 05", ProtocolError},
		{"nothing to unsubscribe", 4, "a2 02 00 01", ProtocolError},
		{"a property that is not known", 5, "30 07 00 02 '/a' 02 7f 00", MalformedPacket},
		{"a property that does not belong there", 5, "30 08 00 02 '/a' 03 21 00 01", ProtocolError},
		{"a property twice", 5, "10 13 00 04 'MQTT' 05 02 00 3c 06 21 00 01 21 00 01 00 00", ProtocolError},
		{"Receive Maximum 0", 5, "10 10 00 04 'MQTT' 05 02 00 3c 03 21 00 00 00 00", ProtocolError},
		{"Request Problem Information 2", 5, "10 0f 00 04 'MQTT' 05 02 00 3c 02 17 02 00 00", ProtocolError},
		{"authentication data without a method", 5, "10 11 00 04 'MQTT' 05 02 00 3c 04 16 00 01 'x' 00 00", ProtocolError},
		{"subscription identifier 0", 5, "82 0a 00 01 02 0b 00 00 02 '/a' 00", ProtocolError},
		{"a response topic with a wildcard", 5, "30 0a 00 02 '/a' 05 08 00 02 '/+'", ProtocolError},
		{"properties longer than the packet", 5, "30 05 00 02 '/a' 09", MalformedPacket},
		{"a length not in its shortest form", 5, "30 06 00 02 '/a' 80 00", MalformedPacket},
		{"DISCONNECT of 3.1.1 with a code", 4, "e0 01 00", MalformedPacket},
	} {
		t.Run(c.name, func(t *testing.T) {
			first, body, err := NewReader(bytes.NewReader(unhex(t, c.bytes)), 1000).Next()
			if err != nil {
				t.Fatal(err)
			}
			p, err := Decode(first, body, c.level)
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != c.want {
				t.Errorf("%+v, %v; want code %#x", p, err, c.want)
			}
		})
	}
}

// TestFiltersAreWalked: what NewSubscribe was given comes out again.
func TestFiltersAreWalked(t *testing.T) {
	want := []Subscription{{Filter: "/a/+", QoS: 2, RetainHandling: 2}, {Filter: "#", NoLocal: true}}
	p, err := Decode(0x82, Append(nil, NewSubscribe(5, 9, nil, want...), 5)[2:], 5)
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(p.(*Subscribe).Filters()); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	u, err := Decode(0xa2, Append(nil, NewUnsubscribe(9, nil, "/a", "/b"), 5)[2:], 5)
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(u.(*Unsubscribe).Filters()); !slices.Equal(got, []string{"/a", "/b"}) {
		t.Errorf("%q", got)
	}
}

// TestProperties: what is put in comes out, each in its own form.
func TestProperties(t *testing.T) {
	p := Properties(nil).WithNumber(ReceiveMaximum, 64).WithNumber(RetainAvailable, 0).WithNumber(SessionExpiry, 1<<31).
		WithData(AssignedClientID, []byte("id")).WithUser("a", "1").WithUser("b", "2")
	c, err := Decode(0x20, Append(nil, &Connack{Properties: p}, 5)[2:], 5)
	if err != nil {
		t.Fatal(err)
	}
	p = c.(*Connack).Properties
	for id, want := range map[Property]uint32{ReceiveMaximum: 64, RetainAvailable: 0, SessionExpiry: 1 << 31} {
		if v, ok := p.Number(id); !ok || v != want {
			t.Errorf("%#x: %d, %v", id, v, ok)
		}
	}
	if v, ok := p.Data(AssignedClientID); !ok || string(v) != "id" {
		t.Errorf("%q, %v", v, ok)
	}
	if _, ok := p.Number(MaximumQoS); ok {
		t.Error("a property that was not put in")
	}
	var user []string
	for k, v := range p.User() {
		user = append(user, k+"="+v)
	}
	if !slices.Equal(user, []string{"a=1", "b=2"}) {
		t.Error(user)
	}
}

// TestALyingLengthCostsWhatWasSent: a packet announces the whole limit and brings
// ten bytes. What is allocated for it is told before, and is one first part.
func TestALyingLengthCostsWhatWasSent(t *testing.T) {
	const limit = 256 << 10
	head := appendVarint([]byte{0x30}, limit-4)
	counted, most := 0, 0
	r := NewReader(io.MultiReader(bytes.NewReader(head), strings.NewReader("0123456789")), limit)
	r.Account = func(more int) error {
		counted += more
		most = max(most, counted)
		return nil
	}
	if _, _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("%v, want an unexpected end", err)
	}
	if most != firstPart || counted != 0 {
		t.Errorf("%d bytes at most, %d afterwards; want %d and 0", most, counted, firstPart)
	}
}

// TestAPacketOverTheLimitIsNotRead: not a byte of it.
func TestAPacketOverTheLimitIsNotRead(t *testing.T) {
	r := NewReader(bytes.NewReader(append(appendVarint([]byte{0x30}, 996), make([]byte, 996)...)), 998)
	if _, _, err := r.Next(); !isCode(err, TooLarge) {
		t.Fatalf("%v, want %#x", err, TooLarge)
	}
	r = NewReader(bytes.NewReader(append(appendVarint([]byte{0x30}, 996), make([]byte, 996)...)), 999)
	if _, body, err := r.Next(); err != nil || len(body) != 996 {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	if _, _, err := NewReader(bytes.NewReader([]byte{0x30, 0xff, 0xff, 0xff, 0xff, 1}), 1<<28).Next(); !isCode(err, MalformedPacket) {
		t.Fatalf("a length of five bytes: %v", err)
	}
}

// TestTheAccountEndsAPacket: nothing is allocated that it refuses.
func TestTheAccountEndsAPacket(t *testing.T) {
	refused := errors.New("no more")
	r := NewReader(bytes.NewReader(append(appendVarint([]byte{0x30}, 100_000), make([]byte, 100_000)...)), 1<<20)
	counted := 0
	r.Account = func(more int) error {
		if counted+more > 50_000 {
			return refused
		}
		counted += more
		return nil
	}
	if _, _, err := r.Next(); !errors.Is(err, refused) || counted != 0 {
		t.Fatalf("%v, %d bytes stay counted", err, counted)
	}
}

func isCode(err error, c Code) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == c
}

// TestReaderWhole: a packet that has arrived needs no waiting for.
func TestReaderWhole(t *testing.T) {
	r := NewReader(iotest.OneByteReader(bytes.NewReader([]byte{0xc0, 0, 0xc0, 0})), 100)
	if err := r.Wait(); err != nil || r.Whole() {
		t.Fatalf("%v; half a packet counts as whole", err)
	}
	r = NewReader(bytes.NewReader([]byte{0xc0, 0, 0x30, 9, 1}), 100)
	if err := r.Wait(); err != nil || !r.Whole() {
		t.Fatalf("%v; a whole packet does not count as one", err)
	}
	if _, _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(); err != nil || r.Whole() {
		t.Fatalf("%v; the beginning of a packet counts as whole", err)
	}
}
