package config

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A disk that failed for a moment, or too many open files, while the configuration was
// read ended the daemon with 78, after which the service manager does not try again: the
// gateway stayed down until a person came.
func TestAFailingReadIsNoMistakeOfTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	path, key := filepath.Join(dir, "a.toml"), filepath.Join(dir, "secret")
	if err := errors.Join(
		os.WriteFile(path, []byte("[device]\nproduct_key = \"a1\"\nproduct_secret_file = \""+key+"\"\n"), 0o600),
		os.WriteFile(key, []byte("secret"), 0o600), os.Chmod(dir, 0o700),
	); err != nil {
		t.Fatal(err)
	}
	passing := func() bool {
		t.Helper()
		_, _, err := Load(path)
		wrong, ok := errors.AsType[*Mistakes](err)
		if !ok {
			t.Fatal(err)
		}
		return wrong.Passing
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	short := passing()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if !short {
		t.Error("no file can be opened, and it is called a mistake")
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if passing() {
		t.Error("a secret that is not there is called a moment's trouble")
	}
}
