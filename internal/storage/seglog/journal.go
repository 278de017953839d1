package seglog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"strconv"
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

	mu    sync.Mutex     // leaf; guards files, their pins and freed
	files []*journalFile // in the order of their sequences; the last one is written
	spare []*journalFile
	freed chan struct{}
	made  int

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
	// spoilt: a sync of it has failed, so that only opened anew it can be written again. The committer's.
	spoilt bool
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
	f.seal(j.seq.Load())
	j.seq.Add(1)
	if _, err := file.f.WriteAt(f.b, j.pos); err != nil {
		j.pos = file.size
		return nil, fmt.Errorf("write %s: %w", file.path, err)
	}
	j.pos += int64(f.len())
	if sync {
		if err := file.f.Sync(); err != nil {
			j.pos, file.spoilt = file.size, true
			return nil, fmt.Errorf("sync %s: %w", file.path, err)
		}
	}
	return file, nil
}

// room returns the file that takes n more bytes, going on to the next when the last is full.
func (j *journal) room(n int64) (*journalFile, error) {
	j.mu.Lock()
	for {
		if len(j.files) > 0 {
			last := j.files[len(j.files)-1]
			if j.pos+n <= last.size {
				j.mu.Unlock()
				return last, nil
			}
		}
		// Files whose bytes are all in segments are free, oldest first (SEG-7).
		for len(j.files) > 1 && len(j.files[0].pins) == 0 {
			j.spare = append(j.spare, j.files[0])
			j.files = j.files[1:]
		}
		if len(j.spare) > 0 {
			s := j.spare[0]
			j.spare = j.spare[1:]
			return j.useLocked(s)
		}
		if len(j.files) < j.maxFiles {
			j.made++
			return j.useLocked(&journalFile{path: filepath.Join(j.path, "journal-"+strconv.Itoa(j.made)), size: j.fileSize, pins: map[*Log]struct{}{}})
		}
		if j.err != nil {
			defer j.mu.Unlock()
			return nil, j.err
		}
		if j.freed == nil {
			j.freed = make(chan struct{})
		}
		wait := j.freed
		j.mu.Unlock()
		j.need()
		<-wait
		j.mu.Lock()
	}
}

// useLocked makes s the file that is written. It is called with j.mu held and returns without it.
func (j *journal) useLocked(s *journalFile) (*journalFile, error) {
	var prev *journalFile
	if len(j.files) > 0 {
		prev = j.files[len(j.files)-1]
	}
	j.files = append(j.files, s)
	j.pos = 0
	crowded := len(j.files) > (j.maxFiles+1)/2
	j.mu.Unlock()
	if crowded {
		j.need()
	}
	if err := j.begin(prev, s); err != nil {
		j.putBack(s)
		return nil, err
	}
	return s, nil
}

// begin makes s ready to be written after prev; nil: it is the first.
func (j *journal) begin(prev, s *journalFile) error {
	if prev != nil && !prev.spoilt { // what a sync must make durable was announced by none that failed
		if err := prev.f.Sync(); err != nil {
			prev.spoilt = true
			return fmt.Errorf("sync %s: %w", prev.path, err)
		}
	}
	if s.spoilt && s.f != nil {
		_ = s.f.Close() // it is of no more use, whatever it says
		s.f = nil
	}
	s.spoilt = false
	if s.f != nil {
		return j.blank(s)
	}
	f, err := j.fs.Open(s.path, vfs.Write|vfs.Create)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.path, err)
	}
	s.f = f
	if err := f.Allocate(0, s.size); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, vfs.ErrNoSpace) {
		return fmt.Errorf("allocate %s: %w", s.path, err)
	}
	if err := f.Truncate(s.size); err != nil {
		return fmt.Errorf("size %s: %w", s.path, err)
	}
	if err := j.blank(s); err != nil {
		return err
	}
	return j.fs.SyncDir(j.path)
}

// putBack makes s, which was to be written and cannot be, a spare file again, to be opened anew.
func (j *journal) putBack(s *journalFile) {
	s.spoilt = true
	j.mu.Lock()
	defer j.mu.Unlock()
	j.files = j.files[:len(j.files)-1]
	j.spare = append(j.spare, s)
	if n := len(j.files); n > 0 {
		j.pos = j.files[n-1].size
	}
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

// blank voids what an earlier use left in a file, durably, before anything new is written to it: else a crash in the middle of its first block
// could bring back old appends without the entry behind them that made them void.
func (j *journal) blank(f *journalFile) error {
	if _, err := f.f.WriteAt(make([]byte, frameHeader), 0); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	if err := f.f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", f.path, err)
	}
	return nil
}

// reset voids everything in the journal, durably: it all is in segments.
func (j *journal) reset() error {
	for _, f := range append(j.files, j.spare...) {
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

func (j *journal) close() error {
	var err error
	for _, f := range append(j.files, j.spare...) {
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
