package memlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// kind says what a frame does. Numbers are stored: they are never given another meaning.
type kind byte

const (
	kindAppend      kind = 1  // time in ms 8, batches
	kindRoll        kind = 2  //
	kindTruncate    kind = 3  // end 8
	kindTrim        kind = 4  // start 8
	kindReplace     kind = 5  // from 8, to 8; what follows for the log until kindReplaced is the new content
	kindContent     kind = 6  // batches, of a replacement or a snapshot's segment
	kindReplaced    kind = 7  //
	kindPut         kind = 8  // length of the name 1, name, blob
	kindDelete      kind = 9  // name
	kindRemove      kind = 10 //
	kindSegment     kind = 11 // snapshot: base 8, next 8, created in ms 8, modified in ms 8
	kindBounds      kind = 12 // snapshot, after the last segment of a log: start 8, end 8
	kindEndSnapshot kind = 13 // snapshot: it is whole; the log is empty
)

const frameHead = 8 // length of the body and its CRC

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends a frame: length 4, CRC 4, kind 1, length of the topic 2, topic, partition 4, topic id 16, content.
func appendFrame(dst []byte, k kind, id *storage.ID, content ...[]byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, frameHead)...)
	dst = append(dst, byte(k))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(id.Topic)))
	dst = append(dst, id.Topic...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(id.Partition))
	dst = append(dst, id.TopicID[:]...)
	for _, c := range content {
		dst = append(dst, c...)
	}
	body := dst[at+frameHead:]
	binary.BigEndian.PutUint32(dst[at:], uint32(len(body)))
	binary.BigEndian.PutUint32(dst[at+4:], crc32.Checksum(body, castagnoli))
	return dst
}

// numbers is the content of frames that hold numbers.
func numbers(all ...int64) []byte {
	b := make([]byte, 0, 8*len(all))
	for _, v := range all {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

// frame is a decoded frame. content aliases what it was read from.
type frame struct {
	kind    kind
	id      storage.ID
	content []byte
}

// cutFrame takes a frame off the front of b. ok is false if b does not begin with a whole and sound one.
func cutFrame(b []byte) (f frame, rest []byte, ok bool) {
	if len(b) < frameHead {
		return f, b, false
	}
	n := int64(binary.BigEndian.Uint32(b))
	if n > int64(len(b)-frameHead) || n < 1+2+4+16 {
		return f, b, false
	}
	body := b[frameHead : frameHead+n]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return f, b, false
	}
	rest = b[frameHead+n:]
	f.kind = kind(body[0])
	name := int(binary.BigEndian.Uint16(body[1:]))
	body = body[3:]
	if name+4+16 > len(body) {
		return f, b, false
	}
	f.id.Topic = string(body[:name])
	f.id.Partition = int32(binary.BigEndian.Uint32(body[name:]))
	f.id.TopicID = kafka.UUID(body[name+4 : name+20])
	f.content = body[name+20:]
	return f, rest, true
}

// numbers reads n numbers off the front of the content.
func (f *frame) numbers(n int) ([]int64, error) {
	if len(f.content) < 8*n {
		return nil, fmt.Errorf("a frame of kind %d with %d bytes: %w", f.kind, len(f.content), storage.ErrDamaged)
	}
	all := make([]int64, n)
	for i := range all {
		all[i] = int64(binary.BigEndian.Uint64(f.content[8*i:]))
	}
	f.content = f.content[8*n:]
	return all, nil
}
