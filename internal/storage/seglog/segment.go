package seglog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/vfs"
)

// segment is one .log file. All fields but handle, base and spoilt are guarded by Log.mu.
type segment struct {
	base kafka.Offset // the first offset it may hold (SEG-1)
	next kafka.Offset // the offset after its last record
	size int64        // bytes of batches, wherever they are
	max  timeEntry    // largest timestamp and the last offset of its batch, relative; valid if any
	any  bool

	created  time.Time // first append here; zero if unknown
	modified time.Time

	index  *index // nil: not loaded
	sealed bool   // takes no more appends (SEG-4)
	// complete: the file has every byte, is cut to size, synced, and its index files are written (SEG-8).
	complete  bool
	exists    bool // the file was made, and is known to the directory
	allocated int64
	spoilt    bool // a sync of its open file has failed: it is written through another one. Guarded by Log.flushMu
	handle    handle
}

// Names of a segment's files, as Kafka names them.
const (
	logSuffix     = ".log"
	indexSuffix   = ".index"
	timeSuffix    = ".timeindex"
	cleanedSuffix = ".cleaned"
	swapSuffix    = ".swap"
	deletedSuffix = ".deleted"
)

func fileName(base kafka.Offset, suffix string) string {
	return fmt.Sprintf("%020d%s", int64(base), suffix)
}

// parseFileName is the base offset of a file named as fileName does, with that suffix.
func parseFileName(name, suffix string) (kafka.Offset, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return kafka.Offset(n), err == nil && n >= 0
}

func newSegment(dir string, base kafka.Offset) *segment {
	s := &segment{base: base, next: base}
	s.handle.path = filepath.Join(dir, fileName(base, logSuffix))
	return s
}

// writeIndex writes both index files, durably: a closed segment's are read again instead of the segment after a crash too.
func writeIndex(fsys vfs.FS, dir string, base kafka.Offset, suffix string, x *index, max timeEntry, any bool) error {
	times := x.times
	if any && (len(times) == 0 || max.ts > times[len(times)-1].ts) {
		times = append(times[:len(times):len(times)], max)
	}
	if err := writeFile(fsys, filepath.Join(dir, fileName(base, indexSuffix)+suffix), x.encodeOffsets()); err != nil {
		return err
	}
	return writeFile(fsys, filepath.Join(dir, fileName(base, timeSuffix)+suffix), (&index{times: times}).encodeTimes())
}

func writeFile(fsys vfs.FS, path string, b []byte) error {
	f, err := fsys.Open(path, vfs.Write|vfs.Create|vfs.Truncate)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(b, 0); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// readFile reads a small file of at most limit bytes whole.
func readFile(fsys vfs.FS, path string, limit int64) ([]byte, error) {
	f, err := fsys.Open(path, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d it may have", path, size, limit)
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if err != nil && !(errors.Is(err, io.EOF) && n == len(b)) {
		return nil, err
	}
	return b, nil
}

// loadIndex reads the segment's index files, or rebuilds them from its batches when they are missing or not believable.
func loadIndex(fsys vfs.FS, dir string, s *segment, size int64, interval int, trust bool) (*index, timeEntry, bool, error) {
	limit := size/record.HeaderSize*timeEntrySize + (16 << 20) // Kafka preallocates 10 MiB
	if trust {
		offsets, err1 := readFile(fsys, filepath.Join(dir, fileName(s.base, indexSuffix)), limit)
		times, err2 := readFile(fsys, filepath.Join(dir, fileName(s.base, timeSuffix)), limit)
		if err1 == nil && err2 == nil {
			if x, ok := decodeIndex(offsets, times, max(size, 1)); ok && (len(x.times) > 0 || size == 0) {
				var m timeEntry
				if n := len(x.times); n > 0 {
					m = x.times[n-1]
				}
				return x, m, len(x.times) > 0, nil
			}
		} else if !errors.Is(err1, fs.ErrNotExist) && err1 != nil {
			return nil, timeEntry{}, false, err1
		}
	}
	ix := &indexer{index: &index{}, base: s.base}
	end, _, err := scanFile(fsys, s.handle.path, 0, size, s.base, func(h record.Header, pos int64, _ []byte) bool {
		ix.add(&h, pos, interval)
		return true
	})
	if err != nil {
		return nil, timeEntry{}, false, err
	}
	if end != size {
		return nil, timeEntry{}, false, damagedAt(s.handle.path, end, "the batches end %d bytes before the segment does", size-end)
	}
	ix.addTime()
	return ix.index, ix.max, ix.any, nil
}
