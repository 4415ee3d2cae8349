package airsim

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/airsim/simcloud"
)

// rig is a module, its cloud and a host that types raw bytes, in a bubble.
type rig struct {
	t      *testing.T
	m      *Module
	c      *simcloud.Cloud
	port   io.ReadWriteCloser
	input  *input
	cancel context.CancelFunc
	done   chan error
}

// input collects what the host reads.
type input struct {
	mu    sync.Mutex
	bytes []byte
	err   error
}

func (in *input) follow(r io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		in.mu.Lock()
		in.bytes = append(in.bytes, buf[:n]...)
		in.err = err
		in.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (in *input) take() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := string(in.bytes)
	in.bytes = nil
	return s
}

func (in *input) failure() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.err
}

// simulate runs f in a bubble with a module that is switched on, connected and,
// but for its autobaud, ready. All goroutines are gone afterwards.
func simulate(t *testing.T, co simcloud.Options, o Options, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, co, o)
		defer r.stop()
		f(r)
	})
}

// start switches a module on.
func start(t *testing.T, co simcloud.Options, o Options) *rig {
	t.Helper()
	c := simcloud.New(co)
	m, err := New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, m: m, c: c}
	r.open()
	r.resume()
	return r
}

// resume runs the module.
func (r *rig) resume() {
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	r.done = make(chan error, 1)
	if r.input.failure() != nil {
		r.open()
	}
	go func() { r.done <- r.m.Run(ctx) }()
	synctest.Wait()
}

// stop ends the run and the host.
func (r *rig) stop() {
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run: %v", err)
	}
	_ = r.port.Close()
	synctest.Wait()
}

func (r *rig) open() {
	r.port = r.m.Open()
	r.input = &input{}
	go r.input.follow(r.port)
}

// write sends raw bytes and lets everything happen that takes no time.
func (r *rig) write(raw string) {
	r.t.Helper()
	if _, err := r.port.Write([]byte(raw)); err != nil {
		r.t.Fatalf("write %q: %v", raw, err)
	}
	synctest.Wait()
}

// wait lets time pass.
func (r *rig) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// ask sends raw bytes and returns what came back at once.
func (r *rig) ask(raw string) string {
	r.t.Helper()
	r.write(raw)
	return r.input.take()
}

// expect sends raw bytes and compares all that comes back at once.
func (r *rig) expect(raw, want string) {
	r.t.Helper()
	if got := r.ask(raw); got != want {
		r.t.Fatalf("%q\n got %q\nwant %q", raw, got, want)
	}
}

// quiet trains the module, turns the echo off and throws away what came.
func (r *rig) quiet() {
	r.t.Helper()
	r.write("AT\rATE0\r")
	r.input.take()
}

func (r *rig) do(command string) string {
	r.t.Helper()
	text, err := r.m.Do(command)
	if err != nil {
		r.t.Fatalf("do %s: %v", command, err)
	}
	synctest.Wait()
	return text
}

// bearer opens the bearer of the guide.
func (r *rig) bearer() {
	r.t.Helper()
	for _, c := range []string{`AT+SAPBR=3,1,"CONTYPE","GPRS"`, `AT+SAPBR=3,1,"APN","CMIOT"`, `AT+SAPBR=1,1`} {
		r.expect(c+"\r", "\r\nOK\r\n")
	}
}

// mqttOn goes online as the guide's device with direct authentication.
func (r *rig) mqttOn() {
	r.t.Helper()
	r.quiet()
	r.bearer()
	r.ask("AT+MQTTMSGSET=0\r")
	r.expect(directConfig+"\r", "\r\nOK\r\n")
	r.expect(guideStart+"\r", "\r\nOK\r\n\r\nCONNECT OK\r\n")
	r.expect("AT+MCONNECT=1,300\r", "\r\nOK\r\n\r\nCONNACK OK\r\n")
}

// The guide's device in direct mode: the digest of the published vector is the
// password.
const (
	directConfig = `AT+MCONFIG="862991419835241|securemode=2,signmethod=hmacmd5|","862991419835241&b1KCi45LcCP","70e7bb641d7566ad26a305dd20e8e261"`
	guideStart   = `AT+SSLMIPSTART="b1KCi45LcCP.iot-as-mqtt.cn-shanghai.aliyuncs.com",1883`
	guideUpdate  = "/b1KCi45LcCP/862991419835241/update"
	guideGet     = "/b1KCi45LcCP/862991419835241/get"
)

func lines(s string) []string {
	var out []string
	for _, l := range strings.Split(s, "\r\n") {
		if l != "" {
			out = append(out, l)
		}
	}
	return out
}

// An order that comes before the module is switched on holds: "hang" was forgotten where
// a loaded machine took its time to start the module behind a socket that took orders.
func TestOrdersBeforeTheStartHold(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"hang", "power-off"} {
		synctest.Test(t, func(t *testing.T) {
			m, err := New(simcloud.New(simcloud.Options{}), Options{Personality: "air780ep"})
			if err != nil {
				t.Fatal(err)
			}
			r := &rig{t: t, m: m}
			r.open()
			r.do(order)
			r.resume()
			defer r.stop()
			if got := r.ask("AT\r"); got != "" {
				t.Errorf("%s: %q", order, got)
			}
			r.do("reset")
			r.wait(time.Second)
			if got := r.ask("AT\r"); !strings.Contains(got, "OK") {
				t.Errorf("%s, and a reset: %q", order, got)
			}
		})
	}
}
