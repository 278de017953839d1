package quorum

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/vfs"
)

const (
	markerName = "cluster.json"
	markerNext = "cluster.json.new"
	markerLock = "cluster.lock"
	etcdDir    = "etcd"
	maxMarker  = 1 << 20
)

// marker is the file that makes a directory count: without it what etcd left there is a beginning that came to nothing. It also has
// what etcd must be told when the process ended before etcd had written anything.
type marker struct {
	Version int            `json:"version"` // 1
	Node    kafka.BrokerID `json:"node"`
	Token   string         `json:"token,omitempty"`
	Joining bool           `json:"joining,omitempty"` // its cluster existed before it
	Members []Member       `json:"members"`
}

// Exists reports whether dir holds a member of a cluster, to be started with Restart. It is false for a directory that StartNew of one
// member was called for and that Import, or the first Commit, did not finish.
func Exists(dir string) bool {
	_, err := vfs.OS().Stat(filepath.Join(dir, markerName))
	return err == nil || !errors.Is(err, fs.ErrNotExist)
}

func readMarker(dir string) (marker, error) {
	var m marker
	path := filepath.Join(dir, markerName)
	file, err := vfs.OS().Open(path, 0)
	if err != nil {
		return m, err
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return m, err
	}
	if size > maxMarker {
		return m, fmt.Errorf("%s has %d bytes, at most %d are in order: %w", path, size, maxMarker, ErrDamaged)
	}
	b := make([]byte, size)
	if n, err := file.ReadAt(b, 0); int64(n) < size && !errors.Is(err, io.EOF) {
		return m, fmt.Errorf("read %s: %w", path, err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("%s: %w: %w", path, err, ErrDamaged)
	}
	if m.Version != 1 {
		return m, fmt.Errorf("%s has version %d, this build knows 1: start a newer Rafka", path, m.Version)
	}
	return m, nil
}

// writeMarker makes dir count, durably. When it fails with ErrFailed nobody can say whether a later start would find it.
func writeMarker(dir string, m marker) error {
	m.Version = 1
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	sys, next, path := vfs.OS(), filepath.Join(dir, markerNext), filepath.Join(dir, markerName)
	if err := writeWhole(sys, next, append(b, '\n')); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", next, err), dropFile(sys, next))
	}
	err = sys.Rename(next, path)
	if err == nil {
		err = sys.SyncDir(dir)
	}
	if err == nil {
		return nil
	}
	// The name may or may not be there, and may or may not stay. Only if it is gone for good the old store may go on.
	err = fmt.Errorf("write %s: %w", path, err)
	if undo := removeMarker(dir); undo != nil {
		return fmt.Errorf("%w: %w: %w", err, undo, ErrFailed)
	}
	return err
}

func removeMarker(dir string) error {
	if err := dropFile(vfs.OS(), filepath.Join(dir, markerName)); err != nil {
		return err
	}
	return vfs.OS().SyncDir(dir)
}

func writeWhole(sys vfs.FS, path string, b []byte) error {
	file, err := sys.Open(path, vfs.Write|vfs.Create|vfs.Truncate)
	if err != nil {
		return err
	}
	if _, err = file.WriteAt(b, 0); err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func dropFile(sys vfs.FS, path string) error {
	if err := sys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
