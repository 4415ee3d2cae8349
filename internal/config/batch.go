package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"airbridged/internal/batch"
	"airbridged/internal/topic"
)

// Batch is one [[batch]] table: how the readings of some topics travel, and how many
// together.
type Batch struct {
	Topic          string // filter; may hold ${productKey} and ${deviceName}: see Expand
	Envelope       string // one of batch.Envelopes
	Compress       string // one of batch.Compressions
	DictionaryFile string // "": none; with "deflate" only
	Encoding       string // one of batch.Encodings
	MaxBytes       int    // of the payload as it goes to the module, 1 to 8192; 0: what the module carries
	MaxMessages    int    // 1 to batch.MaxMessages
	MaxWait        time.Duration

	Dictionary []byte // what is in DictionaryFile, 1 to batch.MaxDictionary bytes; nil: there is none
}

// newBatch is a table without a key.
func newBatch() Batch {
	return Batch{Envelope: string(batch.NDJSON), Compress: string(batch.None), Encoding: string(batch.Raw), MaxMessages: 100}
}

// checkBatch: every [[batch]] has a topic, no two say something of the same one, and
// what belongs together fits together.
func (l *loader) checkBatch() {
	type rule struct {
		filter string
		at     Position
	}
	var known []rule
	for i := range l.cfg.Batch {
		b, place := &l.cfg.Batch[i], fmt.Sprintf("batch[%d]", i)
		l.checkDictionary(b, place)
		l.checkBatchBounds(b, place)
		if l.bad[place+".topic"] {
			continue
		}
		at := l.at(place + ".topic")
		if err := l.batchable(b.Topic); err != nil {
			l.wrong(at, "batch.topic", err.Error())
			continue
		}
		filter := Expand(b.Topic, l.cfg.Device.ProductKey, l.deviceName())
		for _, other := range known {
			if topic.Overlap(filter, other.filter) {
				l.wrong(at, "batch.topic", fmt.Sprintf("and the one at %s apply to the same topics, whose receiver would not know which it is: make one narrower, or delete it", other.at))
				break
			}
		}
		known = append(known, rule{filter, at})
	}
}

func (l *loader) batchable(filter string) error {
	if filter == "" {
		return errors.New(`is missing, write the topic whose messages go together: topic = "/${productKey}/${deviceName}/update"`)
	}
	if topic.IsLocal(filter) {
		return fmt.Errorf("%s never leaves the gateway, delete the table", quoted(filter))
	}
	return l.topic(filter)
}

// checkBatchBounds: a batch is no larger than the module carries, and no reading
// waits longer than it lives.
func (l *loader) checkBatchBounds(b *Batch, place string) {
	if most := l.cfg.Modem.MaxPayload; most > 0 && b.MaxBytes > most && !l.bad[place+".max_bytes"] {
		l.wrong(l.at(place+".max_bytes"), "batch.max_bytes", fmt.Sprintf("is %d, and modem.max_payload is %d: write at most that, or 0 for what the module carries", b.MaxBytes, most))
	}
	if age := l.cfg.Outbox.MaxAge; age > 0 && b.MaxWait >= age && !l.bad[place+".max_wait"] {
		l.wrong(l.at(place+".max_wait"), "batch.max_wait", fmt.Sprintf("is %s, and after outbox.max_age of %s nothing is sent any more: write less", showDuration(b.MaxWait), showDuration(age)))
	}
}

// checkDictionary reads a dictionary.
func (l *loader) checkDictionary(b *Batch, place string) {
	if b.DictionaryFile == "" || l.bad[place+".dictionary_file"] {
		return
	}
	at := l.at(place + ".dictionary_file")
	if b.Compress != string(batch.Deflate) {
		if !l.bad[place+".compress"] {
			l.wrong(at, "batch.dictionary_file", fmt.Sprintf(`is for compress = "deflate", and compress is %s: write that, or delete the dictionary`, quoted(b.Compress)))
		}
		return
	}
	data, err := readDictionary(b.DictionaryFile)
	if err != nil {
		l.unread(err)
		l.wrong(at, "batch.dictionary_file", "file "+b.DictionaryFile+" "+err.Error())
		return
	}
	b.Dictionary = data
}

func readDictionary(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("does not exist, put a typical reading there, the same bytes that the receiver has")
	case err != nil:
		return nil, &fileError{fileTrouble(err) + ", make it readable for the daemon's user", err}
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file, name one that holds a typical reading")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &fileError{fileTrouble(err) + ", make it readable for the daemon's user", err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, batch.MaxDictionary+1))
	switch {
	case err != nil:
		return nil, &fileError{fileTrouble(err) + ", make it readable for the daemon's user", err}
	case len(data) == 0:
		return nil, errors.New("is empty, put a typical reading there, the same bytes that the receiver has")
	case len(data) > batch.MaxDictionary:
		return nil, fmt.Errorf("has more than the %d bytes that deflate looks back, keep the last ones", batch.MaxDictionary)
	}
	return data, nil
}
