package quorum

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/vfs"
)

const (
	logName = "metadata.log"
	logNext = "metadata.log.new" // a file that rename has not given its name yet
	logLock = "metadata.lock"
)

// logFile is the file. Its first frame is always a snapshot, and one write and one fsync put one frame behind the last; so what a
// crash can leave half written is only the last frame, and anything else that does not check out is damage. One caller at a time.
type logFile struct {
	fs   vfs.FS
	dir  string
	file vfs.File // nil until the first commit makes it
	end  int64    // where the next frame goes
	base int64    // size of the snapshot frame the file begins with
	open bool     // batches follow the last snapshot or closed frame

	// failed is set once nobody can say what the disk holds; nothing is written after that (VFS-3).
	failed error
	buf    []byte
}

// recovered is what openLogFile found.
type recovered struct {
	image    *metadata.Image
	revision Revision
	cut      int64 // bytes of a half-written last frame that were removed
	clean    bool  // the last frame marks a clean stop
}

// openLogFile reads the file, removes a half-written last frame and refuses any other damage. An absent file is an empty store; it
// is made by the first append.
func openLogFile(fsys vfs.FS, dir string) (*logFile, recovered, error) {
	l := &logFile{fs: fsys, dir: dir}
	found := recovered{image: metadata.Empty()}
	if err := fsys.Remove(l.path(logNext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, found, fmt.Errorf("remove an unfinished metadata log: %w", err)
	}
	file, err := fsys.Open(l.path(logName), vfs.Write)
	if errors.Is(err, fs.ErrNotExist) {
		return l, found, nil
	}
	if err != nil {
		return nil, found, fmt.Errorf("open the metadata log: %w", err)
	}
	l.file = file
	if found, err = l.recover(); err != nil {
		return nil, found, errors.Join(err, l.release())
	}
	return l, found, nil
}

func (l *logFile) path(name string) string { return filepath.Join(l.dir, name) }

func (l *logFile) release() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

func (l *logFile) recover() (recovered, error) {
	size, err := l.file.Size()
	if err != nil {
		return recovered{}, fmt.Errorf("size of %s: %w", l.path(logName), err)
	}
	b := make([]byte, size)
	if n, err := l.file.ReadAt(b, 0); int64(n) < size {
		return recovered{}, fmt.Errorf("read %s at %d: %w", l.path(logName), n, err)
	}
	r, err := l.replay(b)
	if err != nil || r.clean {
		return r, err
	}
	return r, l.settle(r)
}

// settle makes durable what was found after a stop that was not clean. It may have been read from the page cache only: the process
// died before its fsync, or the fsync failed, after which the system counts the pages as written though they are not, or a rename was
// not synced yet. Whatever is done on the strength of it must not be lost with it later, so all of it is written anew.
func (l *logFile) settle(r recovered) error {
	err := l.compact(metadata.SnapshotOf(r.image), r.revision)
	if err == nil || l.failed != nil {
		return err
	}
	// Without room for a second file the node must start all the same, or nobody could make room by deleting topics.
	if r.cut > 0 {
		if err := l.file.Truncate(l.end); err != nil {
			return fmt.Errorf("cut %s at %d: %w", l.path(logName), l.end, err)
		}
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", l.path(logName), err)
	}
	return l.fs.SyncDir(l.dir)
}

// replay folds the frames in b.
func (l *logFile) replay(b []byte) (recovered, error) {
	var r recovered
	for at := 0; at < len(b); {
		f, size, err := parseFrame(b[at:])
		if err != nil {
			if r.image == nil || hasFrame(b[at:]) {
				return recovered{}, l.damage(at, err)
			}
			r.cut, r.clean = int64(len(b)-at), false
			break
		}
		if err := l.apply(&r, f, at); err != nil {
			return recovered{}, err
		}
		if at == 0 {
			l.base = int64(size)
		}
		at += size
		l.end = int64(at)
	}
	if r.image == nil {
		return recovered{}, l.damage(0, errors.New("the file is empty"))
	}
	return r, nil
}

func (l *logFile) apply(r *recovered, f frame, at int) error {
	switch {
	case r.image == nil && f.kind == frameSnapshot:
		s, err := decodeSnapshot(f.payload)
		if err != nil {
			return l.unreadable(at, err)
		}
		if r.image, _, err = s.Image(); err != nil {
			return l.unreadable(at, err)
		}
		r.revision = f.revision
	case r.image != nil && f.kind == frameBatches && f.revision == r.revision+1:
		batches, err := decodeBatches(f.payload)
		if err != nil {
			return l.unreadable(at, err)
		}
		for _, records := range batches {
			if r.image, _, err = metadata.Fold(r.image, records); err != nil {
				return l.unreadable(at, err)
			}
			r.revision++
		}
		l.open, r.clean = true, false
	case r.image != nil && f.kind == frameClosed && f.revision == r.revision:
		l.open, r.clean = false, true
	default:
		return l.damage(at, fmt.Errorf("a frame of kind %d at revision %d does not continue revision %d", f.kind, f.revision, r.revision))
	}
	return nil
}

// hasFrame reports whether a valid frame begins anywhere in b but at its beginning. Behind a half-written last frame there is none.
func hasFrame(b []byte) bool {
	for at := frameAlign; at+frameHeader <= len(b); at += frameAlign {
		if _, _, err := parseFrame(b[at:]); err == nil {
			return true
		}
	}
	return false
}

func (l *logFile) damage(at int, err error) error {
	return fmt.Errorf("%s at byte %d: %w: %w", l.path(logName), at, err, ErrDamaged)
}

// unreadable keeps what a newer Rafka wrote apart from damage: the checksum was right.
func (l *logFile) unreadable(at int, err error) error {
	if errors.Is(err, metadata.ErrUnknownRecord) {
		return fmt.Errorf("%s at byte %d: %w", l.path(logName), at, err)
	}
	return l.damage(at, err)
}

// append makes batches durable: one write, one fsync. first is the revision of the first one. When there is no room left the file
// stays as it was and a later append may succeed; after any other error the log has failed.
func (l *logFile) append(first Revision, encoded [][]byte) error {
	if l.failed != nil {
		return l.failed
	}
	if l.file == nil {
		return l.create(first, encoded)
	}
	l.buf = endFrame(appendBatches(beginFrame(l.buf[:0]), encoded), 0, frameBatches, first)
	if err := l.write(); err != nil {
		return err
	}
	l.open = true
	return nil
}

// create makes the file with its first batches in it. The file gets its name when it is whole, so a metadata.log never begins with
// anything but a valid frame and a damaged beginning is never taken for a new store.
func (l *logFile) create(first Revision, encoded [][]byte) error {
	b := endFrame(appendSnapshot(beginFrame(nil), metadata.Snapshot{}), 0, frameSnapshot, 0)
	base := len(b)
	b = endFrame(appendBatches(beginFrame(b), encoded), base, frameBatches, first)
	if err := l.replace(b); err != nil {
		return err
	}
	l.base, l.open = int64(base), true
	return nil
}

// write puts buf, a whole frame, behind the last one.
func (l *logFile) write() error {
	defer l.shrink()
	if _, err := l.file.WriteAt(l.buf, l.end); err != nil {
		err = fmt.Errorf("append to %s at %d: %w", l.path(logName), l.end, err)
		if errors.Is(err, vfs.ErrNoSpace) && l.file.Truncate(l.end) == nil {
			return err
		}
		return l.fail(err)
	}
	if err := l.file.Sync(); err != nil {
		return l.fail(fmt.Errorf("sync %s: %w", l.path(logName), err))
	}
	l.end += int64(len(l.buf))
	return nil
}

func (l *logFile) shrink() {
	if cap(l.buf) > 64<<10 {
		l.buf = nil
	}
}

func (l *logFile) fail(err error) error {
	l.failed = fmt.Errorf("%w: %w", err, ErrFailed)
	return l.failed
}

// close marks the end of a clean run, so that damage to the last frame is told from a crash, and closes the file.
func (l *logFile) close(revision Revision) error {
	if l.file == nil {
		return nil
	}
	var err error
	if l.open && l.failed == nil {
		l.buf = endFrame(beginFrame(l.buf[:0]), 0, frameClosed, revision)
		if err = l.write(); errors.Is(err, vfs.ErrNoSpace) && l.failed == nil {
			err = nil // the mark is a help, not a promise
		}
	}
	err = errors.Join(err, l.file.Close())
	l.file = nil
	return err
}
