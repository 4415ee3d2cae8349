package host

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// The kernel's other place for the same number.
func TestUptimeIsTheMachines(t *testing.T) {
	text, err := os.ReadFile("/proc/Uptime")
	if err != nil {
		t.Skipf("no /proc here: %v", err)
	}
	var seconds float64
	if _, err := fmt.Sscan(string(text), &seconds); err != nil {
		t.Fatal(err)
	}
	want := time.Duration(seconds * float64(time.Second))
	if got := Uptime(); (got - want).Abs() > 5*time.Second {
		t.Errorf("uptime %v, /proc says %v", got, want)
	}
}
