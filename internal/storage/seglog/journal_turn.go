package seglog

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/rafka-io/rafka/internal/vfs"
)

// Turning from a full file of the journal to the next costs syncs: of what Cached logs have in the full one, tens of megabytes, and of the first header of
// the next, which is made void. None of it is on the way of an append: when a file is three quarters full a goroutine of the directory makes another one
// ready, and it syncs the full one afterwards. The committer does either itself where it needs it first: the next file when there is none, and full files
// before it says of anything later that it is durable on disk.

// room returns the file that takes n more bytes, going on to the next when the last is full. The committer's.
func (j *journal) room(n int64) (*journalFile, error) {
	for {
		j.mu.Lock()
		if k := len(j.files); k > 0 && j.pos+n <= j.files[k-1].size {
			defer j.mu.Unlock()
			return j.files[k-1], nil
		}
		if j.ready != nil {
			return j.turnAndUnlock(), nil
		}
		j.mu.Unlock()
		if err := j.hardenFull(); err != nil {
			return nil, err
		}
		wait, err := j.prepare()
		if err != nil {
			return nil, err
		}
		if wait != nil {
			j.need()
			<-wait
		}
	}
}

// turnAndUnlock has the file that is ready be the one that is written. mu is held, and released.
func (j *journal) turnAndUnlock() *journalFile {
	next := j.ready
	j.ready, j.ending = nil, false
	if k := len(j.files); k > 0 && j.files[k-1].dirty && !j.files[k-1].spoilt { // what a sync must make durable was announced by none that failed
		j.unsynced = append(j.unsynced, j.files[k-1])
		j.poke()
	}
	j.files = append(j.files, next)
	j.pos = 0
	crowded := len(j.files) > (j.maxFiles+1)/2
	j.mu.Unlock()
	if crowded {
		j.need()
	}
	return next
}

// advance notes that so many bytes more were written to the last file, and has the next made ready in time. The committer's.
func (j *journal) advance(file *journalFile, n int64) {
	was, soon := j.pos, file.size-file.size/4
	if j.pos += n; was < soon && j.pos >= soon {
		j.mu.Lock()
		j.ending = true
		j.mu.Unlock()
		j.poke()
	}
}

// ends reports whether the file that is written will soon be full.
func (j *journal) ends() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ending
}

// poke has the keeper look around.
func (j *journal) poke() {
	select {
	case j.turn <- struct{}{}:
	default:
	}
}

// keepJournal is the goroutine that turns the journal's files ahead of the committer. It ends with stop.
func (d *dir) keepJournal(stop <-chan struct{}) {
	for {
		select {
		case <-d.journal.turn:
		case <-stop:
			return
		}
		switch err := d.journal.hardenFull(); {
		case errors.Is(err, vfs.ErrNoSpace):
			d.noSpace(err)
		case err != nil:
			d.fail(err)
		case d.journal.ends():
			_, _ = d.journal.prepare() // the committer will meet the error if it lasts
		}
	}
}

// hardenFull makes durable what is in full files.
func (j *journal) hardenFull() error {
	j.mu.Lock()
	none := len(j.unsynced) == 0
	j.mu.Unlock()
	if none {
		return nil
	}
	j.turning.Lock()
	defer j.turning.Unlock()
	for {
		j.mu.Lock()
		if len(j.unsynced) == 0 {
			j.mu.Unlock()
			return nil
		}
		f := j.unsynced[0]
		j.mu.Unlock()
		err := f.f.Sync()
		f.spoilt, f.dirty = err != nil, false
		j.mu.Lock()
		j.unsynced = j.unsynced[1:] // after a sync that failed, too: no later one of this file is to be believed
		j.mu.Unlock()
		if err != nil {
			return fmt.Errorf("sync %s: %w", f.path, err)
		}
	}
}

// prepare makes a file ready to be written, if none is. Where all are full of bytes that are in no segment yet it returns what is closed when one may be
// free.
func (j *journal) prepare() (wait <-chan struct{}, err error) {
	j.turning.Lock()
	defer j.turning.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ready != nil {
		return nil, nil
	}
	f := j.freeLocked()
	if f == nil {
		if j.err != nil {
			return nil, j.err
		}
		if j.freed == nil {
			j.freed = make(chan struct{})
		}
		return j.freed, nil
	}
	j.mu.Unlock()
	err = j.begin(f)
	j.mu.Lock()
	if err != nil {
		f.spoilt = true
		j.spare = append(j.spare, f)
		return nil, err
	}
	j.ready = f
	return nil, nil
}

// freeLocked takes a file that may be written from the start, nil: there is none. Those whose bytes are all in segments are free, oldest first (SEG-7).
func (j *journal) freeLocked() *journalFile {
	for len(j.files) > 1 && len(j.files[0].pins) == 0 && !slices.Contains(j.unsynced, j.files[0]) {
		j.spare = append(j.spare, j.files[0])
		j.files = j.files[1:]
	}
	switch {
	case len(j.spare) > 0:
		f := j.spare[0]
		j.spare = j.spare[1:]
		return f
	case len(j.files) < j.maxFiles:
		j.made++
		return &journalFile{path: filepath.Join(j.path, "journal-"+strconv.Itoa(j.made)), size: j.fileSize, pins: map[*Log]struct{}{}}
	}
	return nil
}

// begin makes s ready to be written from its start. turning is held.
func (j *journal) begin(s *journalFile) error {
	if s.spoilt && s.f != nil {
		_ = s.f.Close() // it is of no more use, whatever it says
		s.f = nil
	}
	s.spoilt, s.dirty = false, false
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
