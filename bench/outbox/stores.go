package main

import (
	"context"
	"database/sql"
	"encoding/binary"
	"os"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	_ "modernc.org/sqlite"

	"airbridged/internal/outbox"
)

// store is what is compared: durable appends, alone and in groups, and a drain.
type store interface {
	append(payload []byte) error        // by any number of goroutines at once
	group(payloads [][]byte) error      // as one commit
	drain(n int) (drained int, e error) // read and acknowledge one by one
	close() error
}

var stores = []struct {
	name string
	open func(dir string, writers int) (store, error)
}{
	{"outbox", openOutbox},
	{"bbolt", openBolt},
	{"sqlite", openSQLite},
}

// own is the outbox.
type own struct {
	*outbox.Queue
	stop context.CancelFunc
	done sync.WaitGroup
}

func openOutbox(dir string, _ int) (store, error) { return newOwn(dir, 0) }

func newOwn(dir string, window time.Duration) (*own, error) {
	q, err := outbox.Open(dir, outbox.Limits{Bytes: 1 << 40, Messages: 1 << 30}, outbox.Options{CommitWindow: window})
	if err != nil {
		return nil, err
	}
	o := &own{Queue: q}
	var ctx context.Context
	ctx, o.stop = context.WithCancel(context.Background())
	o.done.Go(func() { _ = q.Run(ctx) })
	return o, nil
}

func (o *own) append(payload []byte) error {
	_, err := o.Append(context.Background(), outbox.Message{Topic: topic, Payload: payload, QoS: 1, Priority: outbox.Normal})
	return err
}

func (o *own) group(payloads [][]byte) error {
	errs := make(chan error, len(payloads))
	for _, p := range payloads {
		go func() { errs <- o.append(p) }()
	}
	var err error
	for range payloads {
		if e := <-errs; e != nil {
			err = e
		}
	}
	return err
}

func (o *own) drain(n int) (int, error) {
	for i := range n {
		m, ok := o.Take()
		if !ok {
			return i, nil
		}
		if err := o.Done(m.ID, outbox.Acked, ""); err != nil {
			return i, err
		}
	}
	return n, nil
}

func (o *own) close() error {
	o.stop()
	o.done.Wait()
	return o.Close()
}

// boltStore uses one bucket with ascending keys.
type boltStore struct {
	db      *bolt.DB
	batched bool
}

var bucket = []byte("queue")

func openBolt(dir string, writers int) (store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := bolt.Open(dir+"/bolt", 0o600, &bolt.Options{NoFreelistSync: true})
	if err != nil {
		return nil, err
	}
	db.MaxBatchDelay = time.Millisecond // the best of 0, 1, 5 and 10 ms here
	return &boltStore{db, writers > 1}, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
}

func put(tx *bolt.Tx, payload []byte) error {
	b := tx.Bucket(bucket)
	seq, err := b.NextSequence()
	if err != nil {
		return err
	}
	return b.Put(binary.BigEndian.AppendUint64(nil, seq), append([]byte(topic), payload...))
}

func (s *boltStore) append(payload []byte) error {
	if s.batched {
		return s.db.Batch(func(tx *bolt.Tx) error { return put(tx, payload) })
	}
	return s.db.Update(func(tx *bolt.Tx) error { return put(tx, payload) })
}

func (s *boltStore) group(payloads [][]byte) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		for _, p := range payloads {
			if err := put(tx, p); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *boltStore) drain(n int) (drained int, err error) {
	for more := true; more && drained < n && err == nil; drained++ {
		err = s.db.Update(func(tx *bolt.Tx) error {
			k, _ := tx.Bucket(bucket).Cursor().First()
			if more = k != nil; !more {
				return nil
			}
			return tx.Bucket(bucket).Delete(k)
		})
	}
	return drained, err
}

func (s *boltStore) close() error { return s.db.Close() }

// sqlStore is one table in WAL mode with synchronous=FULL.
type sqlStore struct{ db *sql.DB }

func openSQLite(dir string, _ int) (store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+dir+"/sqlite?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec(`CREATE TABLE IF NOT EXISTS queue (seq INTEGER PRIMARY KEY, topic TEXT, payload BLOB)`)
	return &sqlStore{db}, err
}

func (s *sqlStore) append(payload []byte) error {
	_, err := s.db.Exec(`INSERT INTO queue (topic, payload) VALUES (?, ?)`, topic, payload)
	return err
}

func (s *sqlStore) group(payloads [][]byte) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	for _, p := range payloads {
		if _, err := tx.Exec(`INSERT INTO queue (topic, payload) VALUES (?, ?)`, topic, p); err != nil {
			_ = tx.Rollback()
			return err
		}
	}
	return tx.Commit()
}

func (s *sqlStore) drain(n int) (int, error) {
	for i := range n {
		var seq int64
		var payload []byte
		err := s.db.QueryRow(`SELECT seq, payload FROM queue ORDER BY seq LIMIT 1`).Scan(&seq, &payload)
		if err == sql.ErrNoRows {
			return i, nil
		}
		if err == nil {
			_, err = s.db.Exec(`DELETE FROM queue WHERE seq = ?`, seq)
		}
		if err != nil {
			return i, err
		}
	}
	return n, nil
}

func (s *sqlStore) close() error { return s.db.Close() }
