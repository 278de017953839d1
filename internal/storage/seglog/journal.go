package seglog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// The journal of a data directory: files journal-1, journal-2 … of one size under .journal/, written one after the other and then again
// from the first that is free (SEG-7). They are allocated once and overwritten in place, so that an fsync has no metadata to write.
//
// A file is a sequence of frames (docs/format/journal.md). Frame: magic 4, crc32c of what follows 4, length of the entries 4, zero 4,
// sequence 8, entries; little endian. The sequence rises by one from frame to frame, and by at least one from file to file; a frame that does not continue it is
// from an earlier use of the file and ends it. Files are used again oldest first, so what is read back is always the newest part.
type journal struct {
	fs       vfs.FS
	path     string
	fileSize int64
	maxFiles int
	need     func() // asks for the oldest file's logs to be flushed; must not block

	turning sync.Mutex    // one at a time syncs full files and makes one ready (journal_turn.go); I/O; before mu
	turn    chan struct{} // buffered by one: there is such work

	mu       sync.Mutex     // leaf; guards what follows, and the pins of files
	files    []*journalFile // in the order of their sequences; the last one is written
	spare    []*journalFile
	ready    *journalFile   // the next one to be written: nothing in it counts, durably; nil: none is
	unsynced []*journalFile // full, and what was written to them last is not durable yet
	ending   bool           // the last file will soon be full
	freed    chan struct{}
	made     int

	err error // why nobody may wait any longer

	seq atomic.Uint64 // of the next frame; written by the committer
	pos int64         // in the last file; the committer's
}

type journalFile struct {
	path string
	size int64
	f    vfs.File
	// pins are the logs whose oldest bytes that are in no segment lie in this file.
	pins map[*Log]struct{}
	// spoilt: a sync of it has failed, so that only opened anew it can be written again. The committer's of the file that is written, else guarded by
	// journal.turning.
	spoilt bool
	dirty  bool // something was written to it since its last sync; as spoilt
}

const (
	frameMagic  = 0x52464a31 // RFJ1
	frameHeader = 24
	entryHeader = 1 + 16 + 4 + 2 + 4 + 8 + 8
	maxFrame    = 1 << 30
)

// Kinds of entries.
const (
	entryAppend = 1 // batches
	entryForget = 2 // everything earlier of this log is void: it was removed
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// frame gathers the entries of one write.
type frame struct{ b []byte }

func (f *frame) reset() {
	if cap(f.b) > 4*maxFrameBytes {
		f.b = nil
	}
	if cap(f.b) < frameHeader {
		f.b = make([]byte, 0, 64<<10)
	}
	f.b = f.b[:frameHeader]
}

func (f *frame) len() int { return len(f.b) }

// head appends an entry's header: kind 1, topic id 16, partition 4, topic name length 2, data length 4, end 8, after 8, then the name.
func (f *frame) head(kind byte, id storage.ID, data int, end, after kafka.Offset) {
	f.b = append(f.b, kind)
	f.b = append(f.b, id.TopicID[:]...)
	f.b = binary.LittleEndian.AppendUint32(f.b, uint32(id.Partition))
	f.b = binary.LittleEndian.AppendUint16(f.b, uint16(len(id.Topic)))
	f.b = binary.LittleEndian.AppendUint32(f.b, uint32(data))
	f.b = binary.LittleEndian.AppendUint64(f.b, uint64(end))
	f.b = binary.LittleEndian.AppendUint64(f.b, uint64(after))
	f.b = append(f.b, id.Topic...)
}

// add appends the last n bytes of l's tail as an entry. The caller holds l.mu.
func (f *frame) add(l *Log, n int64) {
	f.head(entryAppend, l.id, int(n), l.end, l.committedEnd)
	i := len(l.tail)
	for rest := n; rest > 0; {
		i--
		rest -= int64(l.tail[i].n - l.tail[i].lo)
		if rest <= 0 {
			b := l.tail[i]
			f.b = append(f.b, b.buf[b.lo+int(-rest):b.n]...)
		}
	}
	for i++; i < len(l.tail); i++ {
		b := l.tail[i]
		f.b = append(f.b, b.buf[b.lo:b.n]...)
	}
}

// seal fills in the frame's header.
func (f *frame) seal(seq uint64) {
	binary.LittleEndian.PutUint32(f.b, frameMagic)
	binary.LittleEndian.PutUint32(f.b[8:], uint32(len(f.b)-frameHeader))
	binary.LittleEndian.PutUint32(f.b[12:], 0)
	binary.LittleEndian.PutUint64(f.b[16:], seq)
	binary.LittleEndian.PutUint32(f.b[4:], crc32.Checksum(f.b[8:], crcTable))
}

// write puts the frame at the end of the journal and, if asked, makes it durable. It waits when every file is full of bytes that are not
// in segments yet. After an error nobody knows what the disk has of the frame: its sequence is not used again, and the next frame goes to
// another file.
func (j *journal) write(f *frame, sync bool) (*journalFile, error) {
	file, err := j.room(int64(f.len()))
	if err != nil {
		return nil, err
	}
	if sync {
		if err := j.hardenFull(); err != nil {
			return nil, err
		}
	}
	f.seal(j.seq.Load())
	j.seq.Add(1)
	if _, err := file.f.WriteAt(f.b, j.pos); err != nil {
		j.pos = file.size
		return nil, fmt.Errorf("write %s: %w", file.path, err)
	}
	file.dirty = true
	if sync {
		if err := file.f.Sync(); err != nil {
			j.pos, file.spoilt = file.size, true
			return nil, fmt.Errorf("sync %s: %w", file.path, err)
		}
		file.dirty = false
	}
	j.advance(file, int64(f.len()))
	return file, nil
}

// pin notes that file holds bytes of l that are in no segment yet. The caller holds l.mu.
func (j *journal) pin(l *Log, file *journalFile) {
	if l.pinned != nil {
		return
	}
	l.pinned, l.pinnedAt = file, l.e.opts.Now().UnixNano()
	j.mu.Lock()
	file.pins[l] = struct{}{}
	j.mu.Unlock()
}

// unpin is told the pin that a flush has made good. It wakes a writer that waits for a file.
func (j *journal) unpin(l *Log, file *journalFile) {
	if file == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(file.pins, l)
	if j.freed != nil && len(j.files) > 0 && len(j.files[0].pins) == 0 {
		close(j.freed)
		j.freed = nil
	}
}

// oldest lists the logs that keep the oldest file from being used again, and whether the journal is running out of files.
func (j *journal) oldest() (logs []*Log, crowded bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	crowded = len(j.files) > (j.maxFiles+1)/2
	for _, f := range j.files {
		for l := range f.pins {
			logs = append(logs, l)
		}
		if len(logs) > 0 {
			break
		}
	}
	return logs, crowded
}

// fail ends the waits of a writer: nothing will be flushed any more.
func (j *journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = err
	if j.freed != nil {
		close(j.freed)
		j.freed = nil
	}
}

// reset voids everything in the journal, durably: it all is in segments.
func (j *journal) reset() error {
	for _, f := range j.all() {
		if f.spoilt {
			if f.f != nil {
				_ = f.f.Close() // it is of no more use, whatever it says
			}
			var err error
			if f.f, err = j.fs.Open(f.path, vfs.Write); err != nil {
				f.f = nil
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				return fmt.Errorf("open %s: %w", f.path, err)
			}
			f.spoilt = false
		}
		if f.f == nil {
			continue
		}
		if err := j.blank(f); err != nil {
			return err
		}
	}
	return nil
}

// all are all files, when nobody writes any more.
func (j *journal) all() []*journalFile {
	all := slices.Concat(j.files, j.spare)
	if j.ready != nil {
		all = append(all, j.ready)
	}
	return all
}

func (j *journal) close() error {
	var err error
	for _, f := range j.all() {
		if f.f != nil {
			err = errors.Join(err, f.f.Close())
		}
	}
	return err
}

// pinnedSince lists the logs whose bytes have been in the journal alone since before at.
func (j *journal) pinnedSince(at int64) []*Log {
	j.mu.Lock()
	var all []*Log
	for _, f := range j.files {
		for l := range f.pins {
			all = append(all, l)
		}
	}
	j.mu.Unlock()
	due := all[:0]
	for _, l := range all {
		l.mu.Lock()
		if l.pinned != nil && l.pinnedAt <= at {
			due = append(due, l)
		}
		l.mu.Unlock()
	}
	return due
}
