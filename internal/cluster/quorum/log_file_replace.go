package quorum

import (
	"errors"
	"fmt"

	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/vfs"
)

// compact puts a new file that holds only a snapshot in place of the log. An error before the rename leaves everything as it
// was, so the caller may go on and try again later; after it the log has failed.
func (l *logFile) compact(s metadata.Snapshot, revision Revision) error {
	if l.failed != nil {
		return l.failed
	}
	b := endFrame(appendSnapshot(beginFrame(nil), s), 0, frameSnapshot, revision)
	if len(b) > maxPayload {
		return fmt.Errorf("a snapshot of %d bytes is more than a frame holds (%d)", len(b), maxPayload)
	}
	if err := l.replace(b); err != nil {
		return err
	}
	l.base, l.open = int64(len(b)), false
	return nil
}

// replace makes b the content of the log: written and synced under another name, then renamed, then the directory synced. The
// files are closed while rename runs, because Windows refuses to rename or replace an open file. When it returns an error and the
// log has not failed, nothing has changed.
func (l *logFile) replace(b []byte) error {
	if err := l.writeNext(b); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", l.path(logNext), err), l.dropNext())
	}
	if err := l.release(); err != nil {
		return l.fail(fmt.Errorf("close %s: %w", l.path(logName), err))
	}
	// From here on an error leaves open which of the two files a restart would find.
	if err := l.fs.Rename(l.path(logNext), l.path(logName)); err != nil {
		return l.fail(fmt.Errorf("rename %s: %w", l.path(logNext), err))
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return l.fail(fmt.Errorf("sync %s: %w", l.dir, err))
	}
	file, err := l.fs.Open(l.path(logName), vfs.Write)
	if err != nil {
		return l.fail(fmt.Errorf("open %s: %w", l.path(logName), err))
	}
	l.file, l.end = file, int64(len(b))
	return nil
}

func (l *logFile) writeNext(b []byte) error {
	file, err := l.fs.Open(l.path(logNext), vfs.Write|vfs.Create|vfs.Truncate)
	if err != nil {
		return err
	}
	if _, err = file.WriteAt(b, 0); err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func (l *logFile) dropNext() error { return l.fs.Remove(l.path(logNext)) }
