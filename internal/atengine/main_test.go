package atengine

import (
	"testing"

	"go.uber.org/goleak"
)

// No test may leave a goroutine behind: those of the engine end with Run.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
