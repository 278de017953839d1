package seglog

import (
	"encoding/binary"
	"io"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// chain is contiguous bytes of a segment in blocks.
type chain struct {
	blocks []held
	end    int64
	more   bool         // the segment goes on behind end
	floor  kafka.Offset // no batch in it begins below
	ceil   kafka.Offset // and none ends above
	size   int64        // of the segment
	beyond []byte       // what was read of the file behind end
	need   int64        // set by walk: how many bytes from its start a whole batch would take
	after  kafka.Offset // set by walk: the offset after the last batch it took

	// Set by walk: the last batch that ends before what is looked for, where nothing has that very offset. 0 bytes: there is none.
	passed     int64
	passedSize int
	passedLast kafka.Offset
	goodTo     kafka.Offset // set by check: where the last good batch ends
}

func (c *chain) release() {
	for _, b := range c.blocks {
		b.release()
	}
}

// header reads the batch header at pos.
func (c *chain) header(pos int64, scratch *[record.HeaderSize]byte, from int) (h record.Header, at int, ok bool) {
	for from < len(c.blocks) && c.blocks[from].end() <= pos {
		from++
	}
	if from == len(c.blocks) || pos < c.blocks[from].start() {
		return h, from, false
	}
	b := c.blocks[from]
	have := b.buf[pos-b.pos : b.n]
	if len(have) >= record.HeaderSize {
		h, ok = record.ParseHeader(have)
		return h, from, ok
	}
	n := copy(scratch[:], have)
	for k := from + 1; n < len(scratch) && k < len(c.blocks); k++ {
		n += copy(scratch[n:], c.blocks[k].buf[c.blocks[k].lo:c.blocks[k].n])
	}
	h, ok = record.ParseHeader(scratch[:n])
	return h, from, ok
}

// walk goes from the batch at pos to the first that holds or follows from, and on as long as whole batches fit into most and begin below
// below. It answers where they begin and how many bytes they are. Not ok: pos is no batch's begin, or the chain ends too early (need).
func (c *chain) walk(pos int64, from, below kafka.Offset, most int) (first int64, total int, ok bool) {
	var scratch [record.HeaderSize]byte
	start, at, floor := pos, 0, c.floor
	for pos < c.end {
		var h record.Header
		var whole bool
		if h, at, whole = c.header(pos, &scratch, at); !whole {
			if total == 0 {
				c.need = pos - start + readLeast
			}
			return first, total, total > 0
		}
		// Its place is not in a batch's checksum. One that is not where it says is damaged, and so may be what it would have one believe.
		if h.Magic != 2 || h.Length < record.HeaderSize-record.LengthOffset || h.BaseOffset < floor || h.LastOffsetDelta < 0 || h.NextOffset() > c.ceil || pos+int64(h.Size()) > c.size {
			return first, total, total > 0
		}
		floor = h.NextOffset()
		if h.BaseOffset >= below {
			return first, total, true
		}
		size := int64(h.Size())
		if h.LastOffset() < from {
			c.passed, c.passedSize, c.passedLast = pos, int(size), h.LastOffset()
			pos += size
			if pos > c.end {
				c.need = pos - start + readLeast
				return 0, 0, false
			}
			continue
		}
		if total > 0 && total+int(size) > most {
			return first, total, true
		}
		if pos+size > c.end {
			if total == 0 {
				c.need = pos - start + size
			}
			return first, total, total > 0
		}
		if total == 0 {
			first = pos
			if h.BaseOffset <= from {
				c.passedSize = 0
			}
		}
		total += int(size)
		pos += size
		c.after = h.NextOffset()
	}
	if total == 0 && c.more {
		c.need = pos - start + readLeast
		return 0, 0, false
	}
	return first, total, true
}

// baseAt is the base offset of the batch at pos, if that is to be seen.
func (c *chain) baseAt(pos int64, from int) (kafka.Offset, bool) {
	var scratch [record.HeaderSize]byte
	switch {
	case pos >= c.size:
	case pos == c.end && len(c.beyond) >= 8:
		return kafka.Offset(binary.BigEndian.Uint64(c.beyond)), true
	case pos < c.end:
		if h, _, ok := c.header(pos, &scratch, from); ok {
			return h.BaseOffset, true
		}
	}
	return 0, false
}

// check verifies the checksums of the whole batches in [first, first+total): good bytes of them are right, and the next one, which begins at offset at, is
// not if there is an error.
func (c *chain) check(first int64, total int) (good int, at kafka.Offset, err error) {
	var scratch [record.HeaderSize]byte
	var sum record.Sum
	for block := 0; good < total; {
		pos := first + int64(good)
		h, from, ok := c.header(pos, &scratch, block)
		if !ok {
			return good, at, io.ErrUnexpectedEOF
		}
		block, at = from, h.BaseOffset
		end := pos + int64(h.Size())
		sum.Begin(&h)
		for k := block; k < len(c.blocks) && c.blocks[k].start() < end; k++ {
			b := c.blocks[k]
			lo, hi := max(b.start(), pos), min(b.end(), end)
			sum.Add(b.buf[lo-b.pos : hi-b.pos])
		}
		if err := sum.End(); err != nil {
			return good, at, err
		}
		if behind, ok := c.baseAt(end, block); ok && behind < h.NextOffset() {
			return good, at, kafka.Errorf(kafka.CorruptMessage, "the batch at offset %d reaches to offset %d, and the next one begins at %d", at, h.LastOffset(), behind)
		}
		good += h.Size()
		c.goodTo = h.NextOffset()
	}
	return good, at, nil
}

// extent is the bytes [first, first+total) of the chain, with references of its own.
func (c *chain) extent(first int64, total int) *extent {
	end := first + int64(total)
	x := &extent{n: total, end: end, after: c.after}
	for _, b := range c.blocks {
		lo, hi := max(b.start(), first), min(b.end(), end)
		if lo < hi {
			b.acquire()
			x.blocks = append(x.blocks, b.block)
			x.parts = append(x.parts, b.buf[lo-b.pos:hi-b.pos])
		}
	}
	return x
}
