package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/rafka-io/rafka/internal/metadata"
)

// A frame, little endian, padded with zeros to a multiple of 8 so that a search for frames has few places to look at:
//
//	0  magic     u32
//	4  crc       u32  CRC-32C of everything from 8 to the end of the payload
//	8  length    u32  of the payload
//	12 kind      u8, then three zeros
//	16 revision  u64  batches: of the first one; snapshot and closed: of the last one before
//	24 payload
//
// Payloads: batches: count, then for each its length and its records; snapshot: the image's offset, then records; closed: none.
// The numbers in payloads are unsigned varints.
const (
	frameMagic  = 0x314d4b52 // "RKM1"
	frameHeader = 24
	frameAlign  = 8
	maxPayload  = 1 << 30
)

// frameKind says what a frame's payload is.
type frameKind uint8

const (
	frameBatches  frameKind = 1
	frameSnapshot frameKind = 2
	frameClosed   frameKind = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errBadFrame = errors.New("no valid frame")

type frame struct {
	kind     frameKind
	revision Revision
	payload  []byte // aliases what it was parsed from
}

// beginFrame appends a header to fill in later; the payload goes after it.
func beginFrame(dst []byte) []byte { return append(dst, make([]byte, frameHeader)...) }

// endFrame completes the frame that begins at start and ends where dst does.
func endFrame(dst []byte, start int, kind frameKind, revision Revision) []byte {
	h := dst[start:]
	binary.LittleEndian.PutUint32(h[0:], frameMagic)
	binary.LittleEndian.PutUint32(h[8:], uint32(len(h)-frameHeader))
	h[12] = byte(kind)
	binary.LittleEndian.PutUint64(h[16:], uint64(revision))
	binary.LittleEndian.PutUint32(h[4:], crc32.Checksum(h[8:], castagnoli))
	for len(dst)%frameAlign != 0 {
		dst = append(dst, 0)
	}
	return dst
}

// parseFrame reads the frame at the beginning of b; size is what it takes with its padding, of which a crash may have cut some off, so
// it can be up to seven more than len(b). It reserves no memory.
func parseFrame(b []byte) (f frame, size int, err error) {
	if len(b) < frameHeader {
		return frame{}, 0, fmt.Errorf("%d bytes are less than a frame's header: %w", len(b), errBadFrame)
	}
	if m := binary.LittleEndian.Uint32(b); m != frameMagic {
		return frame{}, 0, fmt.Errorf("magic %08x instead of %08x: %w", m, frameMagic, errBadFrame)
	}
	length := int64(binary.LittleEndian.Uint32(b[8:]))
	if length > int64(len(b)-frameHeader) || length > maxPayload {
		return frame{}, 0, fmt.Errorf("a payload of %d bytes where %d are left: %w", length, len(b)-frameHeader, errBadFrame)
	}
	end := frameHeader + int(length)
	if got, want := crc32.Checksum(b[8:end], castagnoli), binary.LittleEndian.Uint32(b[4:]); got != want {
		return frame{}, 0, fmt.Errorf("checksum %08x instead of %08x: %w", got, want, errBadFrame)
	}
	f = frame{kind: frameKind(b[12]), revision: Revision(binary.LittleEndian.Uint64(b[16:])), payload: b[frameHeader:end]}
	return f, (end + frameAlign - 1) / frameAlign * frameAlign, nil
}

// appendBatches appends the payload of a frame of batches.
func appendBatches(dst []byte, encoded [][]byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(encoded)))
	for _, e := range encoded {
		dst = binary.AppendUvarint(dst, uint64(len(e)))
		dst = append(dst, e...)
	}
	return dst
}

// decodeBatches reads what appendBatches wrote.
func decodeBatches(b []byte) ([][]metadata.Record, error) {
	n, b, err := cutUvarint(b)
	if err != nil || n > uint64(len(b)) {
		return nil, fmt.Errorf("number of batches: %w", errBadFrame)
	}
	batches := make([][]metadata.Record, 0, n)
	for range n {
		var length uint64
		if length, b, err = cutUvarint(b); err != nil || length > uint64(len(b)) {
			return nil, fmt.Errorf("length of a batch: %w", errBadFrame)
		}
		records, err := metadata.DecodeRecords(b[:length])
		if err != nil {
			return nil, err
		}
		batches = append(batches, records)
		b = b[length:]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%d bytes after the last batch: %w", len(b), errBadFrame)
	}
	return batches, nil
}

// appendSnapshot appends the payload of a snapshot frame.
func appendSnapshot(dst []byte, s metadata.Snapshot) []byte {
	return metadata.AppendRecords(binary.AppendUvarint(dst, uint64(s.Offset)), s.Records)
}

// decodeSnapshot reads what appendSnapshot wrote.
func decodeSnapshot(b []byte) (metadata.Snapshot, error) {
	offset, b, err := cutUvarint(b)
	if err != nil {
		return metadata.Snapshot{}, err
	}
	records, err := metadata.DecodeRecords(b)
	return metadata.Snapshot{Offset: metadata.Offset(offset), Records: records}, err
}

func cutUvarint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, fmt.Errorf("a number is cut off: %w", errBadFrame)
	}
	return v, b[n:], nil
}
