package digest

import (
	"encoding/binary"
	"errors"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Methods of the peer port.
const (
	MethodDigest = "replica.digest" // Question → Digest
	MethodCopy   = "replica.copy"   // Question → Copy
)

// Question asks a broker about its replica of a partition: for the batches that reach into [From, Below), as many as fit into an answer.
type Question struct {
	Topic       kafka.UUID
	Partition   int32
	From, Below kafka.Offset // Below NoOffset: the high watermark of who answers (MethodDigest)
	Thorough    bool
}

// Copy is batches for who has lost them.
type Copy struct {
	Start, End    kafka.Offset // of the log that they are from
	HighWatermark kafka.Offset
	Batches       []byte
}

// ErrWire is what decoders answer to bytes that no encoder has made.
var ErrWire = errors.New("not understood; are all brokers of releases that work together?")

const (
	version       = 1
	questionBytes = 1 + 16 + 4 + 8 + 8 + 1
	maxWhere      = 1000
)

// Encode is the question as it is sent: version 1 | topic 16 | partition 4 | from 8 | below 8 | thorough 1, big endian.
func (q Question) Encode() []byte {
	b := make([]byte, 0, questionBytes)
	b = append(append(b, version), q.Topic[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(q.Partition))
	b = binary.BigEndian.AppendUint64(b, uint64(q.From))
	b = binary.BigEndian.AppendUint64(b, uint64(q.Below))
	if q.Thorough {
		return append(b, 1)
	}
	return append(b, 0)
}

// DecodeQuestion reads what Encode made.
func DecodeQuestion(b []byte) (q Question, err error) {
	if len(b) != questionBytes || b[0] != version || b[questionBytes-1] > 1 {
		return q, kafka.Errorf(kafka.InvalidRequest, "%w", ErrWire)
	}
	copy(q.Topic[:], b[1:])
	q.Partition = int32(binary.BigEndian.Uint32(b[17:]))
	q.From, q.Below = kafka.Offset(binary.BigEndian.Uint64(b[21:])), kafka.Offset(binary.BigEndian.Uint64(b[29:]))
	q.Thorough = b[questionBytes-1] == 1
	if q.Partition < 0 || q.From < 0 || q.Below < kafka.NoOffset {
		return Question{}, kafka.Errorf(kafka.InvalidRequest, "%w", ErrWire)
	}
	return q, nil
}

// Encode is the copy as it is sent: version 1 | start 8 | end 8 | high watermark 8 | batches.
func (c Copy) Encode() []byte {
	b := make([]byte, 0, 25+len(c.Batches))
	b = append(b, version)
	for _, o := range []kafka.Offset{c.Start, c.End, c.HighWatermark} {
		b = binary.BigEndian.AppendUint64(b, uint64(o))
	}
	return append(b, c.Batches...)
}

// DecodeCopy reads what Encode made. The batches are borrowed from b and not looked at.
func DecodeCopy(b []byte) (c Copy, err error) {
	if len(b) < 25 || b[0] != version {
		return c, ErrWire
	}
	for i, o := range []*kafka.Offset{&c.Start, &c.End, &c.HighWatermark} {
		if *o = kafka.Offset(binary.BigEndian.Uint64(b[1+8*i:])); *o < 0 {
			return Copy{}, ErrWire
		}
	}
	c.Batches = b[25:]
	return c, nil
}

// Encode is the digest as it is sent: version 1 | start, end, high watermark, compacted, from, next, bytes, each a varint | count | for each entry:
// base behind the next of the one before, length, both varints, sum 8 | count | for each damage: from, to, length and text of where.
func (d *Digest) Encode() []byte {
	b := make([]byte, 0, 64+12*len(d.Entries))
	b = append(b, version)
	for _, n := range []int64{int64(d.Start), int64(d.End), int64(d.HighWatermark), int64(d.Compacted), int64(d.From), int64(d.Next), d.Bytes} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = binary.AppendUvarint(b, uint64(len(d.Entries)))
	var before kafka.Offset
	for _, e := range d.Entries {
		b = binary.AppendUvarint(b, uint64(e.Base-before))
		b = binary.AppendUvarint(b, uint64(e.Next-e.Base))
		b = binary.BigEndian.AppendUint64(b, e.Sum)
		before = e.Next
	}
	b = binary.AppendUvarint(b, uint64(len(d.Damage)))
	for _, x := range d.Damage {
		where := x.Where[:min(len(x.Where), maxWhere)]
		b = binary.AppendUvarint(b, uint64(x.From))
		b = binary.AppendUvarint(b, uint64(x.To))
		b = binary.AppendUvarint(b, uint64(len(where)))
		b = append(b, where...)
	}
	return b
}

// entryLeast and damageLeast are the fewest bytes of an entry and of a damage.
const entryLeast, damageLeast = 10, 3

// Decode reads what Encode made.
func Decode(b []byte) (*Digest, error) {
	if len(b) < 1 || b[0] != version {
		return nil, ErrWire
	}
	r := reader{b: b[1:]}
	d := &Digest{}
	for _, o := range []*kafka.Offset{&d.Start, &d.End, &d.HighWatermark, &d.Compacted, &d.From, &d.Next} {
		*o = r.offset()
	}
	d.Bytes = int64(r.offset())
	n := int(min(r.uvarint(), MaxEntries+1))
	if r.bad || n > MaxEntries || n > len(r.b)/entryLeast {
		return nil, ErrWire
	}
	d.Entries = make([]Entry, n)
	var before kafka.Offset
	for i := range d.Entries {
		e := &d.Entries[i]
		e.Base = before + r.offset()
		e.Next = e.Base + r.offset()
		if e.Base < before || e.Next <= e.Base || len(r.b) < 8 {
			return nil, ErrWire
		}
		e.Sum = binary.BigEndian.Uint64(r.b)
		r.b = r.b[8:]
		before = e.Next
	}
	n = int(min(r.uvarint(), MaxDamage+1))
	if r.bad || n > MaxDamage || n > len(r.b)/damageLeast {
		return nil, ErrWire
	}
	d.Damage = make([]Damage, n)
	for i := range d.Damage {
		x := &d.Damage[i]
		x.From, x.To = r.offset(), r.offset()
		long := int(min(r.uvarint(), maxWhere+1))
		if r.bad || x.To <= x.From || long > maxWhere || long > len(r.b) {
			return nil, ErrWire
		}
		x.Where = string(r.b[:long])
		r.b = r.b[long:]
	}
	if r.bad || len(r.b) > 0 {
		return nil, ErrWire
	}
	return d, nil
}

// reader takes varints off b; once one is not there it is bad and gives zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// offset is a varint that is no negative number.
func (r *reader) offset() kafka.Offset {
	v := r.uvarint()
	if v > 1<<62 {
		r.bad = true
		return 0
	}
	return kafka.Offset(v)
}
