package bus_test

import (
	"testing"

	"airbridged/internal/bus"
)

func TestCarryErrorSpeaksToTheProgram(t *testing.T) {
	t.Parallel()
	err := &bus.CarryError{Reason: "this module cannot carry the byte 0x00 (offset 3)", Offset: 3}
	if err.Error() != err.Reason {
		t.Errorf("Error() = %q", err.Error())
	}
}
