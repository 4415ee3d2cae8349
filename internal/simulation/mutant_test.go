package simulation

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is a rule of the daemon that is broken in its source. The programs that
// are shipped have none: go test builds them with an overlay, all in one binary, in
// which the environment says which rule is off.
type mutant struct {
	name    string
	file    string // from the module's root
	before  string // stands in it once
	instead string // is done before that, and what it returns
}

var mutants = []mutant{
	// After an unknown outcome the session goes on publishing.
	{"barrier", "internal/session/publishing.go", "\treturn s.unacknowledged(ctx, err)\n", "return s.port.resync(ctx)"},
	// A DeviceSecret is used before it is on disk.
	{"credentials", "internal/session/device.go", "\t\t// Durable before it is used:", "return d.unsaved.secret, true, nil"},
	// A command without an answer does not leave the engine out of step.
	{"resync", "internal/atengine/engine.go", "\te.poison = err\n\te.poisonings++\n", "return"},
	// What a payload spells is believed.
	{"payload", "internal/atengine/engine.go", "\tswitch {\n\tcase t.Cut:\n", "t.Cut = false"},
	{"payload", "internal/atengine/doubt.go", "\te.scanner.Distrust()\n", "return"},
	// A refusal is believed, whatever else comes.
	{"refusal", "internal/air/publish.go", "\tswitch {\n\tcase m.doubted(begun):\n", `return fmt.Errorf("%w: %w", ErrNotSent, refusal)`},
}

// mutantVariable says in the environment which rule is off.
const mutantVariable = "SIMULATION_MUTANT"

// moduleRoot is where the files of the mutants are looked for.
const moduleRoot = "../.."

// inMutant runs the test that calls it once more, in a program where a rule is off.
func inMutant(t *testing.T, program, name string) {
	t.Helper()
	parent, this, _ := strings.Cut(t.Name(), "/")
	run := exec.CommandContext(t.Context(), program, "-test.v", "-test.run", "^"+parent+"$/^"+this+"$")
	run.Env = append(os.Environ(), mutantVariable+"="+name)
	out, err := run.CombinedOutput()
	if !strings.Contains(string(out), "=== RUN   "+t.Name()) {
		t.Fatalf("the mutant ran nothing: %v\n%s", err, out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// buildMutants builds this test with every mutant in it.
func buildMutants(t *testing.T) (program string) {
	t.Helper()
	dir := t.TempDir()
	overlay, err := writeMutants(dir)
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "simulation.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", overlay, "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// writeMutants writes the changed sources, and the overlay that lists them.
func writeMutants(dir string) (overlay string, err error) {
	changed := map[string]string{}
	for _, m := range mutants {
		path, err := filepath.Abs(filepath.Join(moduleRoot, m.file))
		if err != nil {
			return "", err
		}
		if changed[path] == "" {
			text, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			changed[path] = string(text)
			pkg := filepath.Dir(path)
			changed[filepath.Join(pkg, "mutant.go")] = "package " + filepath.Base(pkg) + "\n\nimport \"os\"\n\nvar mutant = os.Getenv(\"" + mutantVariable + "\")\n"
		}
		if n := strings.Count(changed[path], m.before); n != 1 {
			return "", fmt.Errorf("the mutant %s: its place stands %d times in %s, which has changed", m.name, n, m.file)
		}
		changed[path] = strings.Replace(changed[path], m.before, fmt.Sprintf("if mutant == %q {\n%s\n}\n", m.name, m.instead)+m.before, 1)
	}
	list := struct{ Replace map[string]string }{map[string]string{}}
	for path, text := range changed {
		list.Replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", len(list.Replace)))
		err = errors.Join(err, os.WriteFile(list.Replace[path], []byte(text), 0o644))
	}
	data, failed := json.Marshal(list)
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, errors.Join(err, failed, os.WriteFile(overlay, data, 0o644))
}
