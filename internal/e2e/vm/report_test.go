package vm

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// checked is a row of docs/tested-on.md.
type checked struct {
	where [4]string // kernel, driver, file system, init
	what  string    // and with which result
}

var report struct {
	sync.Mutex
	rows []checked
}

// tell adds a row to docs/tested-on.md.
func (m *machine) tell(driver, fileSystem, format string, args ...any) {
	m.Helper()
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "|", `\|`) // it becomes a cell of a table
	m.Logf("%s, %s: %s", driver, fileSystem, text)
	report.Lock()
	defer report.Unlock()
	report.rows = append(report.rows, checked{[4]string{m.release + ", " + m.arch, driver, fileSystem, "none"}, text})
}

const reportHead = `# On which kernels this was tried

Written by ` + "`make vm`" + ` on %s, with %s (emulation). The module is airsim on the host, behind qemu's
serial devices; no real module and no real adapter was tried.

| kernel | serial driver | file system | init | what was checked |
| --- | --- | --- | --- | --- |
`

// writeReport writes the page to $AIRBRIDGED_VM_REPORT.
func writeReport() {
	path := os.Getenv("AIRBRIDGED_VM_REPORT")
	if path == "" || len(report.rows) == 0 {
		return
	}
	qemu, _ := exec.Command("qemu-system-x86_64", "--version").Output()
	version, _, _ := strings.Cut(string(qemu), "\n")
	var b strings.Builder
	fmt.Fprintf(&b, reportHead, time.Now().UTC().Format(time.DateOnly), version)
	slices.SortStableFunc(report.rows, func(x, y checked) int { return slices.Compare(x.where[:], y.where[:]) })
	for _, r := range report.rows {
		fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(r.where[:], " | "), r.what)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
