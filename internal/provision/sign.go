package provision

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strings"

	"airbridged/internal/secret"
)

// Identity says which device of which product. Both parts are case-sensitive.
type Identity struct{ ProductKey, DeviceName string }

// Method is a sign method of the cloud (Aliyun documents 73742 and 89298). The
// zero value counts as HMACMD5, as it does for the cloud.
type Method string

// The sign methods.
const (
	HMACMD5    Method = "hmacmd5"
	HMACSHA1   Method = "hmacsha1"
	HMACSHA256 Method = "hmacsha256"
)

func (m Method) orDefault() Method {
	if m == "" {
		return HMACMD5
	}
	return m
}

func (m Method) hash() func() hash.Hash {
	switch m {
	case HMACSHA1:
		return sha1.New
	case HMACSHA256:
		return sha256.New
	}
	return md5.New
}

// fields are the signed fields of a request by name.
type fields map[string]string

// sign signs fields as the cloud does everywhere: names and values joined
// without separators in the order of the names, HMAC, lower-case hex (Aliyun
// document 73742). The values are signed raw, however they are sent.
func sign(m Method, key secret.Text, f fields) string {
	var plain strings.Builder
	for _, name := range slices.Sorted(maps.Keys(f)) {
		plain.WriteString(name + f[name])
	}
	mac := hmac.New(m.hash(), []byte(key.Reveal()))
	mac.Write([]byte(plain.String()))
	return hex.EncodeToString(mac.Sum(nil))
}

// Random returns 16 characters for the random field of a registration: letters
// and digits, as the cloud's own SDKs send. The cloud does not check that it
// is used once.
func Random() string { return rand.Text()[:16] }
