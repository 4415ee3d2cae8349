// Package importrules proves two things about the repository's imports - that
// .depguard.yaml forbids exactly what the table here says, and that the module
// depends on nobody whom this list does not name - and that the map and the walks in
// ARCHITECTURE.md are true.
//
// The table is the same rule written a second time, on purpose: a rule that was
// loosened, or a glob that stopped matching, shows up as a difference.
package importrules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// direct is every module that the code may import, with a package of it.
// Adding one is a decision: say here who needs it.
var direct = map[string]string{
	"github.com/coreos/go-systemd/v22":    "github.com/coreos/go-systemd/v22/daemon",        // host: sd_notify
	"github.com/creack/pty":               "github.com/creack/pty",                          // airsim and tests: pseudo-terminals
	"github.com/eclipse/paho.mqtt.golang": "github.com/eclipse/paho.mqtt.golang",            // airsim: relay to a real broker
	"github.com/klauspost/compress":       "github.com/klauspost/compress/flate",            // batch
	"github.com/pelletier/go-toml/v2":     "github.com/pelletier/go-toml/v2",                // config
	"github.com/prometheus/client_golang": "github.com/prometheus/client_golang/prometheus", // metrics
	"github.com/warthog618/go-gpiocdev":   "github.com/warthog618/go-gpiocdev",              // host: the reset line
	"go.bug.st/serial":                    "go.bug.st/serial",                               // tty
	"go.uber.org/goleak":                  "go.uber.org/goleak",                             // tests
	"go.uber.org/zap":                     "go.uber.org/zap",                                // everywhere
	"golang.org/x/sync":                   "golang.org/x/sync/errgroup",                     // cmd: first one out ends all
	"golang.org/x/sys":                    "golang.org/x/sys/unix",                          // system calls that package syscall lacks
}

const (
	zap     = "go.uber.org/zap"
	sys     = "golang.org/x/sys/unix"
	pty     = "github.com/creack/pty"
	systemd = "github.com/coreos/go-systemd/v22/daemon"
	sync    = "golang.org/x/sync/errgroup"
	gpio    = "github.com/warthog618/go-gpiocdev"
	paho    = "github.com/eclipse/paho.mqtt.golang"
	prom    = "github.com/prometheus/client_golang/prometheus"
)

// rows say what the code in a directory may import besides the standard library:
// the directory, and then what it may.
var rows = [][]string{
	{"client", "client/api"},
	{"client/api"},
	{"internal/access", "internal/topic"},
	{"internal/air", zap, "internal/atengine", "internal/secret"},
	{"internal/airsim", zap, sys, pty, paho, "internal/airsim/orders", "internal/airsim/simcloud"},
	{"internal/airsim/orders"},
	{"internal/airsim/simcloud", paho, "internal/airsim/orders"},
	{"internal/atengine", zap},
	{"internal/batch", "github.com/klauspost/compress/flate", "internal/topic"},
	{"internal/bus", zap, "client/api", "internal/topic"},
	{"internal/cloudtime", "internal/bus"},
	{"internal/config", zap, "github.com/pelletier/go-toml/v2", "internal/batch", "internal/durable", "internal/passwords", "internal/secret", "internal/topic", "internal/typo"},
	{"internal/dataphase", "internal/atengine", "internal/durable"},
	{"internal/datause", "internal/durable"},
	{"internal/doctor", sys, "client", "internal/air", "internal/config", "internal/dataphase", "internal/durable", "internal/outbox", "internal/provision", "internal/recovery", "internal/tty", "internal/unit"},
	{"internal/e2e/vm/guest", sys, "client"},
	{"internal/downlink", zap, "internal/bus", "internal/durable", "internal/outbox", "internal/topic"},
	{"internal/durable"},
	{"internal/fair"},
	{"internal/fold"},
	{"internal/host", zap, sys, systemd, gpio, "client/api", "internal/bus", "internal/fair", "internal/fold", "internal/plain"},
	{"internal/intake", "internal/bus", "internal/outbox", "internal/topic"},
	{"internal/ipc", zap, sys, "client/api", "internal/access", "internal/bus", "internal/downlink", "internal/fair", "internal/intake", "internal/outbox", "internal/peer", "internal/plain", "internal/topic", "internal/typo", "internal/web"},
	{"internal/ipc/ipctest", zap, "internal/bus", "internal/ipc", "internal/outbox"},
	{"internal/metrics", zap, prom},
	{"internal/mqttd", zap, "client/api", "internal/access", "internal/bus", "internal/downlink", "internal/intake", "internal/mqttd/packet", "internal/outbox", "internal/passwords", "internal/peer", "internal/topic"},
	{"internal/mqttd/packet"},
	{"internal/outbox", zap, sys, "internal/durable"},
	{"internal/outbox/simdisk"},
	{"internal/passwords"},
	{"internal/peer", sys},
	{"internal/plain"},
	{"internal/provision", zap, sys, "internal/durable", "internal/recovery", "internal/secret"},
	{"internal/recovery", "internal/fold"},
	{"internal/secret"},
	{"internal/session", zap, "client/api", "internal/air", "internal/atengine", "internal/batch", "internal/bus", "internal/dataphase", "internal/durable", "internal/outbox", "internal/provision", "internal/recovery", "internal/secret", "internal/topic"},
	{"internal/topic"},
	{"internal/tty", zap, sys, "go.bug.st/serial"},
	{"internal/typo"},
	{"internal/unit", "internal/config"},
	{"internal/web", "client/api", "internal/bus", "internal/fair", "internal/passwords"},
	{"internal/wiring", "internal/air", "internal/batch", "internal/bus", "internal/config", "internal/provision", "internal/session"},
}

// testsOnly are for tests alone, and simulator for cmd/airsim and tests.
var (
	testsOnly = []string{"internal/ipc/ipctest", "internal/outbox/simdisk"}
	simulator = []string{"internal/airsim", "internal/airsim/orders", "internal/airsim/simcloud"}
)

// unruled is a directory that nobody has written a rule for yet.
const unruled = "internal/new"

// internals are the packages that somebody might import without being allowed.
var internals []string

// may is the rows and the programs. Directories that are not here, and everything
// not listed, may not.
var may = map[string][]string{unruled: nil}

func init() {
	for _, row := range rows {
		may[row[0]] = row[1:]
		internals = append(internals, row[0])
	}
	slices.Sort(internals)
	all := without(internals, testsOnly...)
	for _, daemon := range []string{"cmd/airbridged", "cmd/airbridgectl"} {
		may[daemon] = append(without(all, simulator...), zap, sys, sync, systemd, prom)
	}
	may["cmd/airsim"] = append(all, zap, sys, pty)
}

// finding is one line that depguard prints, or that it ought to print.
type finding struct{ file, imported string }

func (f finding) String() string { return f.file + " imports " + f.imported }

// Every package imports everything: directly in its directory, and in a
// subdirectory. depguard has to complain about what is not allowed, and about
// nothing else. The imported packages are empty, so this costs one run.
func TestEveryRuleBites(t *testing.T) {
	dir := t.TempDir()
	copyFile(t, filepath.Join(root, ".depguard.yaml"), filepath.Join(dir, ".depguard.yaml"))
	goMod := "module airbridged\n\ngo 1.26.0\n"
	for i, module := range slices.Sorted(maps.Keys(direct)) {
		stub := fmt.Sprintf("stub%d", i)
		goMod += fmt.Sprintf("require %s v%s.0.0\nreplace %[1]s => ./%[3]s\n", module, major(module), stub)
		write(t, dir, stub+"/go.mod", "module "+module+"\n")
		write(t, dir, stub+strings.TrimPrefix(direct[module], module)+"/stub.go", "package stub\n")
	}
	write(t, dir, "go.mod", goMod)

	// A package that others import imports nothing but leaves, so that there
	// are no cycles: its offending files import the others' leaves, and those
	// of its subdirectory import the others themselves.
	for _, target := range append([]string{unruled}, internals...) {
		write(t, dir, target+"/leaf/leaf.go", "package leaf\n")
		write(t, dir, target+"/doc.go", "package x\n")
	}
	var want []finding
	for place, allowed := range may {
		for _, module := range slices.Sorted(maps.Values(direct)) {
			file := place + "/" + word(module) + ".go"
			write(t, dir, file, "package "+packageName(place)+"\n\nimport _ \""+module+"\"\n")
			if !slices.Contains(allowed, module) {
				want = append(want, finding{file, module})
			}
		}
		for _, target := range append([]string{unruled}, internals...) {
			if target == place {
				continue
			}
			inside := place + "/" + word(target) + "_leaf.go"
			write(t, dir, inside, "package "+packageName(place)+"\n\nimport _ \"airbridged/"+target+"/leaf\"\n")
			below := place + "/below/" + word(target) + ".go"
			write(t, dir, below, "package below\n\nimport _ \"airbridged/"+target+"\"\n")
			// The programs may import what has no rule yet, and reach into
			// the subpackages of what they may import. Nobody else may.
			program := strings.HasPrefix(place, "cmd/")
			fine := slices.Contains(allowed, target) || program && target == unruled
			if !fine {
				want = append(want, finding{below, "airbridged/" + target})
			}
			if !fine || !program {
				want = append(want, finding{inside, "airbridged/" + target + "/leaf"})
			}
		}
		// Tests may import anything.
		write(t, dir, place+"/below/x_test.go", "package below\n\nimport (\n\t_ \"airbridged/internal/airsim\"\n\t_ \"airbridged/internal/session\"\n\t_ \"github.com/creack/pty\"\n)\n")
	}

	compare(t, depguard(t, dir), want)
}

var findingLine = regexp.MustCompile(`(?m)^(\S+?):\d+:\d+: import '(\S+)' is not allowed from list `)

// depguard runs the pinned depguard in dir and returns what it found.
func depguard(t *testing.T, dir string) []finding {
	t.Helper()
	program, err := exec.Command("go", "tool", "-modfile=../go.mod", "-n", "depguard").Output()
	if err != nil {
		t.Fatalf("go tool -n depguard: %v", explain(err))
	}
	cmd := exec.Command(strings.TrimSpace(string(program)), "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PWD="+dir, "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("depguard is content with everything:\n%s", out)
	}
	dir, err = filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []finding
	for _, m := range findingLine.FindAllSubmatch(out, -1) {
		file, err := filepath.Rel(dir, string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, finding{file, string(m[2])})
	}
	if lines := bytes.Count(out, []byte("\n")); lines != len(found) {
		t.Fatalf("%d findings in %d lines; something else went wrong:\n%s", len(found), lines, out)
	}
	return found
}

func compare(t *testing.T, got, want []finding) {
	t.Helper()
	for _, f := range got {
		if !slices.Contains(want, f) {
			t.Errorf("forbidden, but the table allows it: %v", f)
		}
	}
	for _, f := range want {
		if !slices.Contains(got, f) {
			t.Errorf("no rule forbids it: %v", f)
		}
	}
	t.Logf("%d violations planted, %d found", len(want), len(got))
}

// The code imports the modules of the list above and no others, and go.mod
// calls exactly them direct.
func TestDirectDependencies(t *testing.T) {
	allowed := slices.Sorted(maps.Keys(direct))

	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(goCommand(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	var declared []string
	for _, r := range mod.Require {
		if !r.Indirect {
			declared = append(declared, r.Path)
		}
	}
	slices.Sort(declared)
	if !slices.Equal(declared, allowed) {
		t.Errorf("go.mod's direct dependencies:\n%q\nwant\n%q\n(run go mod tidy, or change the list in tools/importrules)", declared, allowed)
	}

	imports := goCommand(t, "list", "-e", "-f", `{{join .Imports "\n"}}
{{join .TestImports "\n"}}
{{join .XTestImports "\n"}}`, "./...")
	for _, imported := range slices.Compact(slices.Sorted(strings.FieldsSeq(string(imports)))) {
		first, _, _ := strings.Cut(imported, "/")
		if !strings.Contains(first, ".") {
			continue // the standard library, or this module
		}
		if !slices.ContainsFunc(allowed, func(m string) bool { return imported == m || strings.HasPrefix(imported, m+"/") }) {
			t.Errorf("the code imports %s, of a module that is not in the list", imported)
		}
	}
}

// goCommand runs go in the repository's root.
func goCommand(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), explain(err))
	}
	return out
}

// explain adds what a program said before it failed.
func explain(err error) error {
	if exit, ok := err.(*exec.ExitError); ok {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// The map in ARCHITECTURE.md says the same, one line for each package.
func TestTheMapAgrees(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(data), "\n## Who may import whom\n\n```\n")
	block, _, _ = strings.Cut(block, "```")
	var lines []string
	for _, place := range internals {
		var own []string
		for _, target := range may[place] {
			if slices.Contains(internals, target) {
				own = append(own, strings.TrimPrefix(target, "internal/"))
			}
		}
		if len(own) == 0 {
			own = []string{"nothing of this module"}
		}
		lines = append(lines, fmt.Sprintf("%-15s -> %s\n", strings.TrimPrefix(place, "internal/"), strings.Join(own, ", ")))
	}
	slices.Sort(lines)
	want := "cmd/*           -> everything, except that only cmd/airsim imports airsim\n" + strings.Join(lines, "")
	if block != want {
		t.Errorf("ARCHITECTURE.md has\n%s\nand the rules are\n%s", block, want)
	}
}

// packageName is what doc.go says where a place is imported, too.
func packageName(place string) string {
	if strings.HasPrefix(place, "cmd/") {
		return "main"
	}
	return "x"
}

var notWord = regexp.MustCompile(`\W+`)

// word turns an import path into a file name that no build constraint hides.
func word(path string) string { return "imports_" + notWord.ReplaceAllString(path, "_") + "_x" }

var majorSuffix = regexp.MustCompile(`/v(\d+)$`)

// major is the number that a module's version has to begin with.
func major(module string) string {
	if m := majorSuffix.FindStringSubmatch(module); m != nil {
		return m[1]
	}
	return "1"
}

func without(list []string, out ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(out, s) })
}
