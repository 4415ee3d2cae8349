package bus

import (
	"slices"
	"testing"
)

// TestKeptOnce: a program holds two filters that a message matches, one of which has
// it kept. It is kept, once, and is not in the queue as well; what matches the other
// filter alone is in the queue.
func TestKeptOnce(t *testing.T) {
	h := NewHub()
	var kept []string
	s := h.OpenKept(func(m Message) { kept = append(kept, m.Topic) })
	defer s.Close()
	for _, f := range []string{"/a/#", "/a/+", "/a/b"} {
		if err := s.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	s.KeepFor("/a/+", true)
	s.KeepFor("/a/b", true)
	s.KeepFor("/not/there", true)
	for range 20 { // the order of a map is not the same twice
		h.Publish(Message{Topic: "/a/b"})
	}
	h.Publish(Message{Topic: "/a/b/c"})
	if len(kept) != 20 || slices.ContainsFunc(kept, func(s string) bool { return s != "/a/b" }) {
		t.Errorf("kept: %q", kept)
	}
	if it, ok := s.TryNext(); !ok || it.Message.Topic != "/a/b/c" {
		t.Errorf("queued: %+v, %v", it, ok)
	}
	if it, ok := s.TryNext(); ok {
		t.Errorf("and more: %+v", it)
	}
	s.KeepFor("/a/+", false)
	s.KeepFor("/a/b", false)
	h.Publish(Message{Topic: "/a/b"})
	if it, ok := s.TryNext(); !ok || it.Message.Topic != "/a/b" {
		t.Errorf("not kept any more, and not queued: %+v, %v", it, ok)
	}
}
