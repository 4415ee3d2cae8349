package airsim

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing/synctest"
	"time"
)

func powerCases() map[string]faultCase {
	restarted := func(command string) faultCase {
		return on(func(r *rig) {
			r.do(command)
			got := r.input.take()
			if !strings.HasPrefix(got, `^boot.rom'v'!\n`+"\r\nRDY\r\n") {
				r.t.Errorf("after the restart: %q", got)
			}
			r.expect("AT\r", okay)
			r.expect("AT\r", "AT\r"+okay) // the echo is back
			r.expect("AT+MQTTSTATU\r", "AT+MQTTSTATU\r\r\n+MQTTSTATU :0\r\n"+okay)
		})
	}
	return map[string]faultCase{
		"reboot": restarted("reboot"),
		"reset":  restarted("reset"),
		"brown-out": on(func(r *rig) {
			r.do("brown-out 4 every=3s")
			r.wait(time.Minute)
			if n := strings.Count(r.input.take(), "RDY"); n != 4 {
				r.t.Errorf("%d boot banners, want 4", n)
			}
		}),
		"starting": on(func(r *rig) {
			r.do("starting 30s")
			r.expect("AT\r", okay)
			r.expect("AT+CGMR\r", "\r\n+CME ERROR: 4\r\n")
			r.wait(30 * time.Second)
			r.expect("AT+CGMR\r", "\r\n+CGMR: \"AirM2M_780EP_V1007_LTE_AT\"\r\n"+okay)
		}),
		"rdy-twice": on(func(r *rig) {
			r.do("rdy-twice on")
			r.do("reset")
			r.wait(time.Second)
			if n := strings.Count(r.input.take(), "RDY"); n != 2 {
				r.t.Errorf("%d times RDY, want 2", n)
			}
			r.expect("AT\r", "")
			r.wait(6 * time.Second)
			r.expect("AT\r", okay)
		}),
		"gnss": on(func(r *rig) {
			r.do("gnss on")
			const position = "\r\n$GNRMC,061500.000,A,3109.4521,N,12123.1174,E,0.12,0.00,231126,,,A*76\r\n"
			r.expect("AT+CGATT?\r", position+"\r\n+CGATT: 1\r\n"+position+okay)
		}),
		"cmee": on(func(r *rig) {
			r.do("cmee 2")
			r.expect("AT+HTTPTERM\r", "\r\n+CME ERROR: operation not allowed\r\n")
			r.do("reset")
			r.input.take()
			r.ask("ATE0\r")
			r.expect("AT+HTTPTERM\r", "\r\n+CME ERROR: operation not allowed\r\n")
			r.do("cmee 0")
			r.expect("AT+HTTPTERM\r", "\r\nERROR\r\n")
		}),
		"silence": on(func(r *rig) {
			r.do("silence 30s")
			r.expect("AT\r", "")
			r.wait(30 * time.Second)
			r.expect("", "")
			r.expect("AT\r", okay)
		}),
		"hang": on(func(r *rig) {
			r.do("hang")
			r.wait(time.Hour)
			r.expect("AT\r", "")
			r.do("reset")
			r.input.take()
			r.expect("AT\r", okay)
		}),
		"power-off": on(func(r *rig) {
			r.do("power-off")
			r.expect("AT\r", "")
			r.do("reset")
			r.input.take()
			r.expect("AT\r", okay)
			r.do("power-off under-voltage")
			r.expect("", "\r\nUNDER-VOLTAGE POWER DOWN\r\n")
			r.expect("AT\r", "")
		}),
		"stall": on(func(r *rig) {
			r.do("stall 10s")
			wrote := make(chan error, 1)
			go func() {
				_, err := r.port.Write(make([]byte, hostBuffer+1))
				wrote <- err
			}()
			synctest.Wait()
			select {
			case err := <-wrote:
				r.t.Fatalf("the write did not block: %v", err)
			default:
			}
			r.wait(11 * time.Second)
			if err := <-wrote; err != nil {
				r.t.Error(err)
			}
		}),
		"unplug": on(func(r *rig) {
			r.do("unplug 3s")
			if err := r.input.failure(); !errors.Is(err, syscall.EIO) {
				r.t.Errorf("the host's read failed with %v, want EIO", err)
			}
			if _, err := r.port.Write([]byte("AT\r")); !errors.Is(err, syscall.EIO) {
				r.t.Errorf("the host's write failed with %v, want EIO", err)
			}
			r.open()
			synctest.Wait()
			if err := r.input.failure(); !errors.Is(err, syscall.EIO) {
				r.t.Errorf("a port opened too early failed with %v, want EIO", err)
			}
			r.wait(3 * time.Second)
			r.open()
			r.expect("AT+MQTTSTATU\r", "\r\n+MQTTSTATU :1\r\n"+okay) // the module did not notice
			r.do("unplug 3s hangup")
			if err := r.input.failure(); !errors.Is(err, io.EOF) {
				r.t.Errorf("after a hang-up the host's read failed with %v, want EOF", err)
			}
		}),
		"baud": {personality: "air780e", offline: true, show: func(r *rig) {
			set := r.port.(interface{ SetBaud(int) error }).SetBaud
			if err := set(115200); err != nil {
				r.t.Fatal(err)
			}
			r.expect("AT\r", okay)
			r.do("baud 9600")
			r.expect("AT\r", "")
			if err := set(9600); err != nil {
				r.t.Fatal(err)
			}
			r.expect("AT\r", okay)
			r.do("baud 921600 saved")
			r.do("reset")
			if err := set(921600); err != nil {
				r.t.Fatal(err)
			}
			r.input.take()
			r.expect("AT\r", "AT\r"+okay)
		}},
		"garble-above": on(func(r *rig) {
			set := r.port.(interface{ SetBaud(int) error }).SetBaud
			r.do("garble-above 460800")
			if err := set(921600); err != nil {
				r.t.Fatal(err)
			}
			r.expect("AT\r", "")
			if err := set(460800); err != nil {
				r.t.Fatal(err)
			}
			r.input.take()
			r.ask("\r") // ends what came damaged
			r.expect("AT\r", okay)
		}),
		"train": off(func(r *rig) {
			r.do("train 2")
			r.expect("AT\r", "")
			r.expect("AT\r", "")
			r.expect("AT\r", okay)
		}),
	}
}
