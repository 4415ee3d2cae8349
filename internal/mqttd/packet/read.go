package packet

import (
	"bufio"
	"errors"
	"io"
)

// Sizes of a Reader's memory, in bytes.
const (
	readAhead = 2 << 10 // kept by every Reader
	firstPart = 4 << 10 // of a body that is longer
)

// Reader cuts a stream of bytes into packets. It is for one goroutine.
type Reader struct {
	in   *bufio.Reader
	most int
	// Account, if not nil, is told how many bytes of memory an unfinished packet
	// takes more; negative when it is finished or given up. An error of it ends
	// the packet. It is not told of packets that have arrived whole.
	Account func(more int) error
}

// NewReader reads packets of at most limit bytes, their first byte and length
// included.
func NewReader(r io.Reader, limit int) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, readAhead), most: limit}
}

// Wait returns when the first byte of a packet is there.
func (r *Reader) Wait() error {
	_, err := r.in.Peek(1)
	return err
}

// Whole says whether a whole packet has arrived already, so that Next does not
// wait. It may say no although one has, if that is longer than the read-ahead.
func (r *Reader) Whole() bool {
	head, _ := r.in.Peek(min(r.in.Buffered(), 5))
	if len(head) < 2 {
		return false
	}
	d := decoder{rest: head[1:]}
	n := d.varint()
	return d.err == nil && r.in.Buffered() >= 1+varintSize(n)+n
}

// Next returns the next packet's first byte and body; the body is the caller's.
// Errors: *[Error] with TooLarge or MalformedPacket, that of Account, or of the
// stream; io.EOF only between two packets.
func (r *Reader) Next() (first byte, body []byte, err error) {
	if first, err = r.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, head, err := r.length()
	if err != nil {
		return first, nil, unfinished(err)
	}
	if head+n > r.most {
		return first, nil, &Error{Code: TooLarge, Type: Type(first >> 4), Detail: "larger than mqtt.max_packet"}
	}
	body, err = r.body(n)
	return first, body, unfinished(err)
}

// length reads the length of the body; head is how long first byte and length are.
func (r *Reader) length() (n, head int, err error) {
	head = 1
	for shift := 0; shift < 28; shift += 7 {
		b, err := r.in.ReadByte()
		if err != nil {
			return 0, head, err
		}
		head++
		n |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			if b == 0 && shift > 0 {
				break
			}
			return n, head, nil
		}
	}
	return 0, head, malformed("a length that is none")
}

// body reads n bytes. Memory grows as they arrive: a length that lies costs what
// was sent, twice over at most.
func (r *Reader) body(n int) (body []byte, err error) {
	if n <= r.in.Buffered() {
		body = make([]byte, n)
		_, err = io.ReadFull(r.in, body)
		return body, err
	}
	counted := 0
	defer func() {
		if r.Account != nil && counted > 0 {
			_ = r.Account(-counted)
		}
	}()
	for have := 0; have < n; {
		size := min(n, max(firstPart, 2*have))
		if r.Account != nil {
			if err := r.Account(size - counted); err != nil {
				return nil, err
			}
			counted = size
		}
		grown := make([]byte, size)
		copy(grown, body)
		if _, err := io.ReadFull(r.in, grown[have:]); err != nil {
			return nil, err
		}
		body, have = grown, size
	}
	return body, nil
}

func unfinished(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
