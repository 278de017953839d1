package record

import (
	"errors"
	"io"
	"sync"

	"github.com/rafka-io/rafka/internal/kafka"
)

// DefaultMaxDecompressed is Kafka's default and largest max.decompressed.message.bytes. It also bounds what all records of a batch may
// decompress to when they are only walked, which takes constant memory.
const DefaultMaxDecompressed = 1<<31 - 9

// minRecordSize is the smallest record: length, attributes, timestamp delta, offset delta, key length, value length, header count.
const minRecordSize = 7

// MaxCompacted is how many bytes all records of one compressed batch of a compacted topic, or of one with delays, may have together: who compacts
// or delivers them has them in memory at once. A topic whose max.message.bytes is larger takes as many.
const MaxCompacted = 128 << 20

const walkBuffer = 16 << 10

// errRecord says that bytes are not the record they should be. Its text completes "record 3: ...".
var (
	errRecordShort  = errors.New("it ends early")
	errRecordLength = errors.New("its length is not that of its fields")
	errRecordField  = errors.New("a field has an impossible length")
	errVarint       = errors.New("a number is longer than its type")
)

// walked is what a walk tells of a record without keeping its bytes.
type walked struct {
	timestampDelta int64
	offsetDelta    int32
	hasKey         bool
	size           int // bytes, without its length
	ask            ask // if the walker is asking
}

// A walker reads records one after another out of memory or out of a decompressor, in constant memory: keys and values are skipped.
type walker struct {
	r         io.Reader // nil: all there is lies in buf
	buf       []byte    // buf[pos:] was read and not yet walked
	pos       int
	space     []byte // pooled; where r is read to
	taken     int64  // bytes got from r
	maxRecord int    // a record in r may be at most this long
	maxTaken  int64
	release   func() // gives the decompressor back
	copyTo    io.Writer
	asking    bool // headers that ask for a delay are looked at
}

var walkBuffers = sync.Pool{New: func() any { return new([walkBuffer]byte) }}

// walkRecords begins a walk over the records of a batch. maxRecord bounds each decompressed record, as Kafka's
// max.decompressed.message.bytes does; 0: DefaultMaxDecompressed. copyTo, if there is one, is written what was walked. The caller calls
// close.
func walkRecords(h *Header, payload []byte, maxRecord int, copyTo io.Writer) (w walker, err error) {
	w = walker{maxRecord: limit(maxRecord), maxTaken: DefaultMaxDecompressed, copyTo: copyTo}
	if h.Codec() == None {
		w.buf = payload
		if copyTo != nil {
			_, err = copyTo.Write(payload)
		}
		return w, err
	}
	if w.r, w.release, err = open(h.Codec(), payload); err != nil {
		return w, damaged(h.Codec(), err)
	}
	w.space = walkBuffers.Get().(*[walkBuffer]byte)[:]
	return w, nil
}

// limit turns a setting of bytes decompressed into a number that is one.
func limit(most int) int {
	if most <= 0 || most > DefaultMaxDecompressed {
		return DefaultMaxDecompressed
	}
	return most
}

func (w *walker) close() {
	if w.release != nil {
		w.release()
	}
	if w.space != nil {
		walkBuffers.Put((*[walkBuffer]byte)(w.space))
	}
	*w = walker{}
}

// fill reads more. It returns io.EOF where the records end.
func (w *walker) fill() error {
	if w.r == nil {
		return io.EOF
	}
	for {
		n, err := w.r.Read(w.space)
		if n == 0 && err == nil {
			continue // decoders do this at the end of a block
		}
		if n == 0 {
			return err
		}
		w.taken += int64(n)
		if w.taken > w.maxTaken {
			return kafka.Errorf(kafka.InvalidRecord, "the records of the batch decompress to more than %d bytes together, which is all that this topic takes: send smaller batches", w.maxTaken)
		}
		w.buf, w.pos = w.space[:n], 0
		if w.copyTo != nil {
			if _, err := w.copyTo.Write(w.buf); err != nil {
				return err
			}
		}
		return nil // an error that came with bytes comes again
	}
}

func (w *walker) readByte() (byte, error) {
	if w.pos == len(w.buf) {
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
	b := w.buf[w.pos]
	w.pos++
	return b, nil
}

// varint reads a zigzag number of at most bits bits and says how many bytes it took.
func (w *walker) varint(bits int) (v int64, size int, err error) {
	var u uint64
	for shift := 0; shift < bits+6; shift += 7 {
		b, err := w.readByte()
		if err != nil {
			return 0, size, err
		}
		size++
		u |= uint64(b&0x7f) << shift
		if b < 0x80 {
			v = int64(u>>1) ^ -int64(u&1)
			if bits == 32 && v != int64(int32(v)) {
				return 0, size, errVarint
			}
			return v, size, nil
		}
	}
	return 0, size, errVarint
}

// take reads into dst.
func (w *walker) take(dst []byte) error {
	for len(dst) > 0 {
		if w.pos == len(w.buf) {
			if err := w.fill(); err != nil {
				return err
			}
		}
		n := copy(dst, w.buf[w.pos:])
		w.pos += n
		dst = dst[n:]
	}
	return nil
}

func (w *walker) skip(n int) error {
	for n > 0 {
		if w.pos == len(w.buf) {
			if err := w.fill(); err != nil {
				return err
			}
		}
		step := min(n, len(w.buf)-w.pos)
		w.pos += step
		n -= step
	}
	return nil
}

// next walks one record. io.EOF before its first byte: there are no more.
func (w *walker) next() (walked, error) {
	length, size, err := w.varint(32)
	if err != nil {
		if err == io.EOF && size > 0 {
			err = errRecordShort
		}
		return walked{}, err
	}
	if length < minRecordSize-1 {
		return walked{}, errRecordLength
	}
	if w.r != nil && length > int64(w.maxRecord) {
		return walked{}, tooLarge(w.maxRecord)
	}
	got, err := w.fields(int(length))
	if err == io.EOF {
		err = errRecordShort
	}
	return got, err
}

// fields walks what follows the length of a record, left bytes.
func (w *walker) fields(left int) (got walked, err error) {
	got.size = left
	number := func(bits int) (v int64) {
		if err == nil {
			var size int
			v, size, err = w.varint(bits)
			left -= size
		}
		return v
	}
	// blob skips a key, a value or a part of a header but for its beginning, which goes to keep; it is there if its size is not -1.
	blob := func(keep []byte) (size int) {
		n := number(32)
		switch {
		case err != nil || n == -1:
			return -1
		case n < -1 || n > int64(left):
			err = errRecordField
			return -1
		}
		left -= int(n)
		kept := min(int(n), len(keep))
		if err = w.take(keep[:kept]); err == nil {
			err = w.skip(int(n) - kept)
		}
		return int(n)
	}
	if err = w.skip(1); err != nil { // attributes: unused so far
		return got, err
	}
	left--
	got.timestampDelta = number(64)
	got.offsetDelta = int32(number(32))
	got.hasKey = blob(nil) >= 0
	blob(nil)
	headers := number(32)
	if err == nil && (headers < 0 || headers > int64(left)/2) {
		err = errRecordField
	}
	var name [len(DeliverAt)]byte
	var value [maxAskDigits]byte
	for ; err == nil && headers > 0; headers-- {
		keep := name[:0]
		if w.asking {
			keep = name[:]
		}
		named := blob(keep)
		if err == nil && named < 0 {
			err = errRecordField // a header has a key
		}
		kind := askKind(keep, named)
		if kind == asksNothing {
			blob(nil)
			continue
		}
		size := blob(value[:])
		got.ask.add(kind, value[:max(0, min(size, len(value)))], size)
	}
	if err == nil && left != 0 {
		err = errRecordLength
	}
	return got, err
}

// hop checks that payload is exactly count records by their lengths alone: it costs a look at one byte or two per record.
func hop(payload []byte, count int32) error {
	for i := int32(0); i < count; i++ {
		n, rest, ok := cutVarint(payload)
		if !ok || n < minRecordSize-1 || n > int64(len(rest)) {
			return kafka.Errorf(kafka.InvalidRecord, "record %d of %d does not fit into the batch", i, count)
		}
		payload = rest[n:]
	}
	if len(payload) > 0 {
		return kafka.Errorf(kafka.InvalidRecord, "%d bytes follow the last of %d records", len(payload), count)
	}
	return nil
}

// cutVarint takes a zigzag number of at most 32 bits off the front of b.
func cutVarint(b []byte) (v int64, rest []byte, ok bool) {
	var u uint64
	for i := 0; i < len(b) && i < 5; i++ {
		u |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			v = int64(u>>1) ^ -int64(u&1)
			return v, b[i+1:], v == int64(int32(v))
		}
	}
	return 0, b, false
}
