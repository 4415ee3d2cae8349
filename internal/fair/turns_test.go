package fair

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// With one user's thousand requests waiting, another one's waits for one of them.
func TestTurnsGoFromUserToUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns[string](1)
		if err := turns.Take(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		served := make(chan string, 1010)
		ask := func(user string) {
			go func() {
				if err := turns.Take(t.Context(), user); err == nil {
					served <- user
					time.Sleep(time.Millisecond)
					turns.Give()
				}
			}()
			synctest.Wait()
		}
		for range 1000 {
			ask("a")
		}
		for range 3 {
			ask("b")
		}
		if n := turns.Waiting(); n != 1003 {
			t.Errorf("%d wait", n)
		}
		turns.Give()
		got := ""
		for range 8 {
			got += <-served
		}
		if got != "abababaa" {
			t.Errorf("served %s, want abababaa", got)
		}
		for range 995 {
			<-served
		}
		time.Sleep(time.Second) // for the last one to give its turn back
	})
}

// Who gives up waiting leaves no hole: a turn that came in the same moment goes on
// to the next.
func TestTurnsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns[string](1)
		_ = turns.Take(t.Context(), "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if err := turns.Take(ctx, "b"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		turns.Give()
		if err := turns.Take(t.Context(), "c"); err != nil || turns.Waiting() != 0 {
			t.Errorf("%v, %d wait", err, turns.Waiting())
		}
		turns.Give()
	})
}
