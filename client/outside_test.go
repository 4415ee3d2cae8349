package client_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README says how a Go program outside this repository gets at the package: a
// module beside a clone builds that way, and without asking anybody for a module.
func TestModuleOutsideBuilds(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile("(?s)```sh\n(go mod edit -require=airbridged@.*?)```").FindSubmatch(readme)
	if commands == nil {
		t.Fatal("the README does not say how")
	}
	clone, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "sensor")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(clone, filepath.Join(dir, "../airbridged")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"go.mod": "module example.com/sensor\n\ngo 1.26.0\n",
		"main.go": `package main

import (
	"context"
	"errors"
	"fmt"

	"airbridged/client"
	"airbridged/client/api"
)

func main() {
	c := client.New("/nonexistent/socket")
	defer c.Close()
	m, err := c.Publish(context.Background(), "/a1b2c3/gw-1/update", []byte("21.5"), client.PublishOptions{})
	fmt.Println(m.State == api.Queued, errors.Is(err, client.ErrUnreachable))
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.CommandContext(t.Context(), "sh", "-e", "-c", string(commands[1])+"go run .")
	run.Dir = dir
	run.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off")
	out, err := run.CombinedOutput()
	if lines := strings.Split(strings.TrimSpace(string(out)), "\n"); err != nil || lines[len(lines)-1] != "false true" {
		t.Errorf("%v\n%s", err, out)
	}
}
