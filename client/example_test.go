package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"airbridged/client"
	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/ipc"
	"airbridged/internal/ipc/ipctest"
)

func ExampleClient_Publish() {
	d := ipctest.Start(nil) // your gateway runs airbridged instead
	defer d.Stop()
	ctx := context.Background()

	c := client.New(d.Socket) // client.New("") finds the usual socket
	defer c.Close()

	m, err := c.Publish(ctx, "/a1b2c3/gw-1/update", []byte(`{"temperature":21.5}`), client.PublishOptions{})
	if err != nil {
		fmt.Println("not kept:", err)
		return
	}
	fmt.Println("kept:", m.State)
	// Output: kept: queued
}

// With Wait, Publish returns when the cloud has the message. If it has not
// within that time, the daemon keeps the message all the same.
func ExampleClient_Publish_wait() {
	d := ipctest.Start(nil)
	defer d.Stop()
	c := client.New(d.Socket)
	defer c.Close()

	m, err := c.Publish(context.Background(), "/a1b2c3/gw-1/update", []byte("alarm"), client.PublishOptions{
		Wait:     10 * time.Second,
		TTL:      time.Hour,
		Priority: client.PriorityHigh,
	})
	fmt.Println(m.State, m.State.Final(), err)
	// Output: acked true <nil>
}

// A reading that is soon followed by the next needs no promise.
func ExampleClient_Publish_bestEffort() {
	d := ipctest.Start(nil)
	defer d.Stop()
	c := client.New(d.Socket)
	defer c.Close()

	m, err := c.Publish(context.Background(), "/a1b2c3/gw-1/update", []byte("21.5"), client.PublishOptions{
		QoS:  client.AtMostOnce,
		Wait: time.Second,
	})
	fmt.Println(m.State, err)
	// Output: sent <nil>
}

// A refusal says what is wrong and what to do, for people and for programs.
func ExampleProblem() {
	d := ipctest.Start(func(o *ipc.Options) {
		o.Carry = func(string, []byte) error {
			return &bus.CarryError{Reason: "the payload has 1400 bytes; this module carries 1360", TooLarge: true, Size: 1400, Limit: 1360}
		}
	})
	defer d.Stop()
	c := client.New(d.Socket)
	defer c.Close()

	_, err := c.Publish(context.Background(), "/a1b2c3/gw-1/update", []byte(strings.Repeat("x", 1400)), client.PublishOptions{})
	if p, ok := errors.AsType[*client.Problem](err); ok {
		fmt.Println(p.Status, p.Type)
		fmt.Println(p.Detail)
		fmt.Println(p.Hint)
	}
	fmt.Println(errors.Is(err, client.ErrTooLarge), errors.Is(err, client.ErrTryAgain))
	// Output:
	// 413 urn:airbridged:problem:payload-too-large
	// the payload has 1400 bytes; this module carries 1360
	// nothing was kept; send it in parts
	// true false
}

func ExampleClient_Message() {
	d := ipctest.Start(nil)
	defer d.Stop()
	c := client.New(d.Socket)
	defer c.Close()
	ctx := context.Background()

	sent, err := c.Publish(ctx, "/a1b2c3/gw-1/update", []byte("21.5"), client.PublishOptions{Wait: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := c.Message(ctx, sent.ID)
	fmt.Println(m.Topic, m.QoS, m.State, m.Attempts, err)
	_, err = c.Message(ctx, "long-ago")
	fmt.Println(errors.Is(err, client.ErrUnknown))
	// Output:
	// /a1b2c3/gw-1/update 1 acked 1 <nil>
	// true
}

// Two readings wait behind a message that is not acknowledged.
func ExampleClient_OutboxMessages() {
	d := ipctest.Start(nil)
	defer d.Stop()
	c := client.New(d.Socket)
	defer c.Close()
	ctx := context.Background()
	for _, topic := range []string{"/a1b2c3/gw-1/waits", "/a1b2c3/gw-1/update", "/a1b2c3/gw-1/update"} {
		if _, err := c.Publish(ctx, topic, []byte("21.5"), client.PublishOptions{}); err != nil {
			fmt.Println(err)
			return
		}
	}

	for m, err := range c.OutboxMessages(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(m.Topic, m.Bytes, m.Priority)
	}
	// Output:
	// /a1b2c3/gw-1/waits 4 normal
	// /a1b2c3/gw-1/update 4 normal
	// /a1b2c3/gw-1/update 4 normal
}

// A page of one message is the cheapest way to ask how many there are.
func ExampleClient_Outbox() {
	d := ipctest.Start(nil)
	defer d.Stop()
	c := client.New(d.Socket)
	defer c.Close()
	ctx := context.Background()
	for range 3 {
		if _, err := c.Publish(ctx, "/a1b2c3/gw-1/waits", nil, client.PublishOptions{TTL: time.Hour}); err != nil {
			fmt.Println(err)
			return
		}
	}

	page, err := c.Outbox(ctx, "", 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(page.Messages), "of", page.Total)
	next, err := c.Outbox(ctx, page.Messages[0].ID, 10)
	fmt.Println(len(next.Messages), "follow", err)
	// Output:
	// 1 of 3
	// 2 follow <nil>
}

func ExampleClient_Drop() {
	d := ipctest.Start(nil)
	defer d.Stop()
	c := client.New(d.Socket)
	defer c.Close()
	ctx := context.Background()

	if _, err := c.Publish(ctx, "/a1b2c3/gw-1/waits", nil, client.PublishOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	m, err := c.Publish(ctx, "/a1b2c3/gw-1/update", []byte("21.5"), client.PublishOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Drop(ctx, m.ID))
	m, err = c.Message(ctx, m.ID)
	fmt.Println(m.State, m.Reason, err)
	fmt.Println(errors.Is(c.Drop(ctx, m.ID), client.ErrFinal))
	// Output:
	// <nil>
	// dropped removed <nil>
	// true
}

// After weeks without a network the old readings may not be worth their bytes.
func ExampleClient_DropTopic() {
	d := ipctest.Start(nil)
	defer d.Stop()
	c := client.New(d.Socket)
	defer c.Close()
	ctx := context.Background()
	for _, topic := range []string{"/a1b2c3/gw-1/waits", "/a1b2c3/gw-1/update", "/a1b2c3/gw-1/update"} {
		if _, err := c.Publish(ctx, topic, []byte("21.5"), client.PublishOptions{}); err != nil {
			fmt.Println(err)
			return
		}
	}

	n, err := c.DropTopic(ctx, "/a1b2c3/+/update")
	fmt.Println(n, err)
	// Output: 2 <nil>
}

func ExampleClient_Subscribe() {
	d := ipctest.Start(nil)
	defer d.Stop()
	c := client.New(d.Socket)
	defer c.Close()

	stream, err := c.Subscribe(context.Background(), "/a1b2c3/gw-1/get", "/sys/a1b2c3/gw-1/#")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stream.Close()
	go func() { // the cloud
		d.Hub.Grant("/a1b2c3/gw-1/get")
		d.Hub.Publish(bus.Message{Topic: "/a1b2c3/gw-1/get", Payload: []byte("on"), ReceivedAt: time.Now()})
	}()
	for {
		item, err := stream.Next()
		switch {
		case err != nil:
			fmt.Println(err)
			return
		case item.Subscribed != nil:
			fmt.Println("subscribed to", len(item.Subscribed), "filters")
		case item.Granted != "":
			fmt.Println("the cloud acknowledged", item.Granted)
		case item.Gap > 0:
			fmt.Println("missed", item.Gap)
		case item.Message != nil:
			fmt.Printf("%s: %s\n", item.Message.Topic, item.Message.Payload)
			return
		}
	}
	// Output:
	// subscribed to 2 filters
	// the cloud acknowledged /a1b2c3/gw-1/get
	// /a1b2c3/gw-1/get: on
}

func ExampleClient_Status() {
	d := ipctest.Start(nil)
	defer d.Stop()
	dbm := -71
	d.Board.Update(func(s *bus.Status) { s.State, s.Modem.SignalDBm = "online", &dbm })
	c := client.New(d.Socket)
	defer c.Close()

	s, err := c.Status(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.State, *s.Modem.SignalDBm, s.Modem.Operator == nil)
	// Output: online -71 true
}

func ExampleClient_Events() {
	d := ipctest.Start(nil)
	defer d.Stop()
	c := client.New(d.Socket)
	defer c.Close()

	events, err := c.Events(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer events.Close()
	d.Board.Emit(bus.Changed(api.Change{From: "probing", To: "recovering", Cause: "sim-missing", Attempt: 1}))
	for range 2 {
		e, err := events.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%q -> %q, cause %q\n", e.From, e.To, e.Cause)
	}
	// Output:
	// "" -> "probing", cause ""
	// "probing" -> "recovering", cause "sim-missing"
}

// Trace shows what went between daemon and module, redacted.
func ExampleClient_Trace() {
	flight := bus.NewFlight()
	flight.Add(bus.Sent, []byte("AT+CSQ"), 6)
	d := ipctest.Start(func(o *ipc.Options) { o.Flight = flight })
	defer d.Stop()
	c := client.New(d.Socket)
	defer c.Close()

	traffic, err := c.Trace(context.Background())
	for _, t := range traffic {
		fmt.Println(t.Seq, t.Dir, t.Text, err)
	}
	// Output: 1 tx AT+CSQ <nil>
}
