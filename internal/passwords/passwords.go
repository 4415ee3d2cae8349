// Package passwords reads a password file in mosquitto's own format, which
// mosquitto_passwd(1) writes, and checks passwords by it.
package passwords

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// Bounds of a file.
const (
	// MaxFile is how long a file may be, in bytes.
	MaxFile       = 1 << 20
	maxIterations = 1_000_000
	maxPassword   = 1024 // bytes of what a client may show
)

// File is who has which password. The zero value knows nobody.
type File struct {
	users map[string]entry
}

// entry is one line: the derivation of a password.
type entry struct {
	iterations int // 0: plain SHA-512 over password and salt, "$6$"
	salt, hash []byte
}

// LineError is what is wrong with a line. It shows no part of it.
type LineError struct {
	Line int // from 1 on
	What string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d %s", e.Line, e.What) }

// Parse reads a file: a line "NAME:$7$ITERATIONS$SALT$HASH" or, as versions before
// 2.0 wrote it, "NAME:$6$SALT$HASH" for each user; empty lines and those that begin
// with # say nothing. Error: *LineError, the first one.
func Parse(data []byte) (*File, error) {
	f := &File{users: map[string]entry{}}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" || text[0] == '#' {
			continue
		}
		name, hash, found := strings.Cut(text, ":")
		e, ok := parse(hash)
		_, twice := f.users[name]
		switch {
		case !found || name == "":
			return nil, &LineError{n, `has no "name:" at its beginning, let mosquitto_passwd write the file`}
		case !strings.HasPrefix(hash, "$"):
			return nil, &LineError{n, "has a password that is not hashed, hash them with mosquitto_passwd -U"}
		case !ok:
			return nil, &LineError{n, "has a hash that is none of mosquitto's, let mosquitto_passwd write it"}
		case twice:
			return nil, &LineError{n, "has a name that stands further up already, delete one of the two"}
		}
		f.users[name] = e
	}
	return f, nil
}

func parse(hash string) (e entry, ok bool) {
	parts := strings.Split(hash, "$")
	var err error
	switch {
	case len(parts) == 5 && parts[1] == "7":
		if e.iterations, err = strconv.Atoi(parts[2]); err != nil || e.iterations < 1 || e.iterations > maxIterations {
			return e, false
		}
	case len(parts) != 4 || parts[1] != "6":
		return e, false
	}
	if e.salt, err = base64.StdEncoding.DecodeString(parts[len(parts)-2]); err != nil || len(e.salt) == 0 {
		return e, false
	}
	e.hash, err = base64.StdEncoding.DecodeString(parts[len(parts)-1])
	return e, err == nil && len(e.hash) == sha512.Size
}

// Len is how many users there are.
func (f *File) Len() int { return len(f.users) }

// Has says whether there is a user of a name.
func (f *File) Has(name string) bool {
	_, ok := f.users[name]
	return ok
}

// nobody takes as long to refuse as somebody does.
var nobody = entry{iterations: 101, salt: make([]byte, 12), hash: make([]byte, sha512.Size)}

// Check says whether a password is that of a user. It takes as long for a user who
// does not exist.
func (f *File) Check(name string, password []byte) bool {
	e, known := f.users[name]
	if !known {
		e = nobody
	}
	if len(password) > maxPassword {
		return false
	}
	var derived []byte
	if e.iterations > 0 {
		var err error
		if derived, err = pbkdf2.Key(sha512.New, string(password), e.salt, e.iterations, sha512.Size); err != nil {
			return false
		}
	} else {
		sum := sha512.Sum512(append(bytes.Clone(password), e.salt...))
		derived = sum[:]
	}
	return subtle.ConstantTimeCompare(derived, e.hash) == 1 && known
}
