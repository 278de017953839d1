package seglog

import (
	"errors"
	"fmt"
	"io"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

const scanChunk = 1 << 20

func damagedAt(path string, pos int64, format string, args ...any) error {
	return fmt.Errorf("%s at byte %d: %w: %w", path, pos, fmt.Errorf(format, args...), storage.ErrDamaged)
}

// scanFile walks the batches of a segment file from pos on, checking each one's structure, checksum and that offsets rise from at least
// next. each may end the walk by false; the batch it gets is valid for the call. The answers are the position after the last good batch
// and the offset after it; an error is one of reading, not of what was read. limit < 0: to the end of the file. It reads past the page
// cache (flag Direct) where it can, since a scan after a crash may go over gigabytes that nobody asks for again.
func scanFile(fsys vfs.FS, path string, pos, limit int64, next kafka.Offset, each func(h record.Header, pos int64, batch []byte) bool) (int64, kafka.Offset, error) {
	f, err := fsys.Open(path, vfs.Direct)
	if err != nil {
		return pos, next, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return pos, next, err
	}
	if limit >= 0 {
		size = min(size, limit)
	}
	var buf, have []byte // have: unread bytes at pos, in buf
	for {
		h, ok := record.ParseHeader(have)
		want := record.HeaderSize
		if ok {
			if h.Magic != 2 || h.Length < record.HeaderSize-record.LengthOffset || int64(h.Size()) > size-pos {
				return pos, next, nil
			}
			want = h.Size()
		}
		if len(have) < want {
			if int64(want) > size-pos {
				return pos, next, nil
			}
			start := alignDown(pos)
			need := alignUp(pos + int64(want) - start)
			if need = max(need, min(scanChunk, alignUp(size-start))); int64(len(buf)) < need {
				buf = vfs.Aligned(int(need))
			}
			got, err := f.ReadAt(buf, start)
			if err != nil && !errors.Is(err, io.EOF) {
				return pos, next, err
			}
			got = int(min(int64(got), size-start))
			if got < int(pos-start)+want {
				return pos, next, nil
			}
			have = buf[pos-start : got]
			continue
		}
		batch := have[:h.Size()]
		if _, err := record.Check(batch); err != nil || h.BaseOffset < next || h.LastOffsetDelta < 0 {
			return pos, next, nil
		}
		if !each(h, pos, batch) {
			return pos, next, nil
		}
		next = h.NextOffset()
		pos += int64(h.Size())
		have = have[h.Size():]
	}
}

func alignDown(n int64) int64 { return n &^ (vfs.BlockSize - 1) }
func alignUp(n int64) int64   { return alignDown(n + vfs.BlockSize - 1) }
