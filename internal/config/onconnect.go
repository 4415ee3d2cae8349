package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// OnConnect is one [[on_connect]] table: what is published after each CONNACK, before
// anything else.
type OnConnect struct {
	Topic       string // may hold ${productKey} and ${deviceName}: see Expand
	PayloadFile string // absolute path; "": an empty payload
	WaitFor     string // the reply's topic, unexpanded; "": none is waited for
	Wait        time.Duration

	Payload []byte // what is in PayloadFile
}

func newOnConnect() OnConnect { return OnConnect{Wait: 10 * time.Second} }

// maxOnConnect is how many there may be: each holds up the queue at every connect.
const maxOnConnect = 32

// checkOnConnect: every [[on_connect]] has a topic, and a payload that can be read.
func (l *loader) checkOnConnect() {
	if n := len(l.cfg.OnConnect); n > maxOnConnect {
		l.wrong(l.at(fmt.Sprintf("on_connect[%d].topic", maxOnConnect)), "on_connect", fmt.Sprintf("there are %d of these, and each is sent at every connect: write at most %d", n, maxOnConnect))
	}
	for i := range l.cfg.OnConnect {
		o, place := &l.cfg.OnConnect[i], fmt.Sprintf("on_connect[%d]", i)
		if !l.bad[place+".topic"] {
			if err := l.publishable(o.Topic); err != nil {
				l.wrong(l.at(place+".topic"), "on_connect.topic", err.Error())
			}
		}
		if o.WaitFor != "" && !l.bad[place+".wait_for"] {
			if err := l.subscribable(o.WaitFor); err != nil {
				l.wrong(l.at(place+".wait_for"), "on_connect.wait_for", err.Error())
			}
		}
		l.checkPayload(o, place)
	}
}

// publishable checks the topic of a message.
func (l *loader) publishable(name string) error {
	if name == "" {
		return errors.New(`is missing, write the topic to publish to: topic = "/ext/session/${productKey}/${deviceName}/combine/login"`)
	}
	if err := l.subscribable(name); err != nil {
		return err
	}
	if strings.ContainsAny(name, "+#") {
		return fmt.Errorf("%s has a wildcard, a message is published to one topic: name it", quoted(name))
	}
	return nil
}

// checkPayload reads what is to be published.
func (l *loader) checkPayload(o *OnConnect, place string) {
	if o.PayloadFile == "" || l.bad[place+".payload_file"] {
		return
	}
	data, err := readPayload(o.PayloadFile)
	if err != nil {
		l.unread(err)
		l.wrong(l.at(place+".payload_file"), "on_connect.payload_file", "file "+o.PayloadFile+" "+err.Error())
		return
	}
	o.Payload = data
}

// maxPayload is more than any module carries, in bytes.
const maxPayload = 64 << 10

func readPayload(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("does not exist, put there what is to be published")
	case err != nil:
		return nil, &fileError{fileTrouble(err) + ", make it readable for the daemon's user", err}
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file, name one that holds what is to be published")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &fileError{fileTrouble(err) + ", make it readable for the daemon's user", err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPayload+1))
	switch {
	case err != nil:
		return nil, &fileError{fileTrouble(err) + ", make it readable for the daemon's user", err}
	case len(data) > maxPayload:
		return nil, fmt.Errorf("has more than the %d bytes that a message may have, make it shorter", maxPayload)
	}
	return data, nil
}
