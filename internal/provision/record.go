package provision

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"airbridged/internal/durable"
	"airbridged/internal/secret"
)

// Every file of the store is one line of JSON: the SHA-256 of the content and
// the content. The sum is over the content's bytes as they stand in the file,
// and the frame around them is fixed, so that no changed bit goes unseen.
const (
	frameHead = `{"sha256":"`
	frameMid  = `","content":`
	frameTail = "}\n"
)

// errDamaged: a file whose frame, sum or content is not what was written.
var errDamaged = errors.New("checksum or form is wrong")

// damage says how a file looks that is not what was written. It is errDamaged.
type damage string

func (d damage) Error() string { return string(d) }

func (d damage) Is(target error) bool { return target == errDamaged }

// seal encodes a content.
func seal(content any) []byte {
	body, err := json.Marshal(content)
	if err != nil {
		panic(err) // texts and numbers only: a bug of this package
	}
	sum := sha256.Sum256(body)
	return []byte(frameHead + hex.EncodeToString(sum[:]) + frameMid + string(body) + frameTail)
}

// unseal checks a file and decodes its content.
func unseal(data []byte, content any) error {
	rest, head := bytes.CutPrefix(data, []byte(frameHead))
	sum, rest, mid := bytes.Cut(rest, []byte(frameMid))
	body, tail := bytes.CutSuffix(rest, []byte(frameTail))
	want := sha256.Sum256(body)
	if !head || !mid || !tail || string(sum) != hex.EncodeToString(want[:]) {
		return errDamaged
	}
	if json.Unmarshal(body, content) != nil {
		return errDamaged
	}
	return nil
}

// The kinds of content. A file of one kind never passes for another.
const (
	kindCredentials = "credentials"
	kindToken       = "token"
	kindConnects    = "connects"
	kindProbe       = "probe"
)

// record is the content of a file. Credentials and token use Secret for what
// must not be shown. Times are milliseconds since 1970: a number can hold
// whatever a broken clock says, a date in JSON cannot.
type record struct {
	Kind       string  `json:"kind"`
	ProductKey string  `json:"product_key,omitempty"`
	DeviceName string  `json:"device_name,omitempty"`
	IotID      string  `json:"iot_id,omitempty"`
	Secret     string  `json:"secret,omitempty"`
	SavedAt    int64   `json:"saved_at_ms"`
	Connects   []int64 `json:"connects_ms,omitempty"`
	Kept       uint64  `json:"kept,omitempty"` // of another device's credentials: the order in which they were put aside
}

func (r record) identity() Identity { return Identity{r.ProductKey, r.DeviceName} }

// generation is a file of credentials as it was found.
type generation struct {
	name    string
	raw     []byte // nil: there is no such file, or it could not be read
	id      Identity
	secret  secret.Text // empty: not valid
	savedAt int64
	kept    uint64
	err     error // why it is not valid; nil if it is or if there is none
}

func (g generation) valid() bool { return !g.secret.Empty() }

// holds says whether the generation is that device's.
func (g generation) holds(id Identity) bool { return g.valid() && g.id == id }

func decodeGeneration(raw []byte) generation {
	var r record
	if err := unseal(raw, &r); err != nil {
		if len(bytes.Trim(raw, "\x00")) == 0 {
			err = damage(durable.Looks(raw))
		}
		return generation{raw: raw, err: err}
	}
	if r.Kind != kindCredentials || r.Secret == "" {
		return generation{raw: raw, err: errDamaged}
	}
	return generation{raw: raw, id: r.identity(), secret: secret.New(r.Secret), savedAt: r.SavedAt, kept: r.Kept}
}
