package e2e

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"airbridged/client"
)

// The programs for other processors, built as they are for the packages, run under
// emulation on the same kernel: a smoke test of what a 32-bit word, another memory
// order and other system calls change. The simulator is this machine's own.
func TestOtherProcessors(t *testing.T) {
	for _, c := range []struct{ name, qemu, env string }{
		{"armhf", "qemu-arm", "GOARCH=arm GOARM=7"},
		{"arm64", "qemu-aarch64", "GOARCH=arm64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			qemu, err := exec.LookPath(c.qemu + "-static")
			if err != nil {
				qemu, err = exec.LookPath(c.qemu) // Debian 13: every one of them is static
			}
			if err != nil {
				t.Skip(c.qemu + " is not installed: apt-get install qemu-user-static")
			}
			dir := t.TempDir()
			build := exec.Command("sh", "-c", c.env+` CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$0" airbridged/cmd/airbridged airbridged/cmd/airbridgectl`, dir)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			sim := newSimulator(t, "--personality", "air780ep")
			g := prepareGateway(t, sim.device, "")
			g.program = startPath(t, qemu, filepath.Join(dir, "airbridged"), "--config", g.config)
			g.out.await(t, `"ready"`)
			g.reaches("online", "")

			// Messages up and their acknowledgements, one of them asked for by
			// an emulated program too.
			topic := "/" + productKey + "/" + imei + "/update"
			pub := exec.Command(qemu, filepath.Join(dir, "airbridgectl"), "--socket", g.socket, "pub", "--wait", "30s", topic, "from another processor")
			if out, err := pub.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			receipt, err := g.client.Publish(t.Context(), topic, []byte{0, 1, 0xff}, client.PublishOptions{Wait: 30 * time.Second})
			if err != nil || receipt.State != "acked" {
				t.Fatalf("%+v, %v", receipt, err)
			}
			got := sim.messages()
			if len(got) != 2 || string(got[0].Payload) != "from another processor" || string(got[1].Payload) != "\x00\x01\xff" {
				t.Fatalf("the cloud received %+v", got)
			}
			g.stop()
			if code := g.exit(); code != 0 {
				t.Errorf("it left with %d", code)
			}
		})
	}
}
