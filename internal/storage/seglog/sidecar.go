package seglog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// sidecar keeps blobs as files NAME.side in the partition's directory: magic 4, crc32c of the blob 4, the blob.
type sidecar struct {
	fs  vfs.FS
	log *Log

	mu     sync.Mutex  // one writer of a blob at a time
	making sync.Mutex  // one maker of the directory at a time
	made   atomic.Bool // the partition's directory is there, durably
}

const (
	sideSuffix = ".side"
	sideMagic  = 0x52465331 // RFS1
	sideMax    = 64 << 20
)

var sideName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,63}$`)

func (s *sidecar) file(name string) (string, error) {
	if !sideName.MatchString(name) {
		return "", fmt.Errorf("%q is no name for a sidecar", name)
	}
	return filepath.Join(s.log.path, name+sideSuffix), nil
}

// Get implements storage.Sidecar.
func (s *sidecar) Get(name string) ([]byte, error) {
	path, err := s.file(name)
	if err != nil {
		return nil, err
	}
	if err := s.log.load(); err != nil {
		return nil, err
	}
	return getSide(s.fs, path)
}

func getSide(fsys vfs.FS, path string) ([]byte, error) {
	b, err := readFile(fsys, path, sideMax)
	if err != nil {
		return nil, err
	}
	if len(b) < 8 || binary.LittleEndian.Uint32(b) != sideMagic || crc32.Checksum(b[8:], crcTable) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, damagedAt(path, 0, "its checksum does not match")
	}
	return b[8:], nil
}

// Put implements storage.Sidecar.
func (s *sidecar) Put(name string, blob []byte) error {
	path, err := s.file(name)
	if err != nil {
		return err
	}
	if err := s.log.load(); err != nil {
		return err
	}
	s.log.mu.Lock()
	err = s.log.usableLocked()
	s.log.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.log.makeDir(); err != nil {
		return err
	}
	return s.put(path, blob)
}

func (s *sidecar) put(path string, blob []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := binary.LittleEndian.AppendUint32(nil, sideMagic)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(blob, crcTable))
	return replaceFile(s.fs, path, append(b, blob...))
}

// replaceFile puts b in place of path, atomically and durably.
func replaceFile(fsys vfs.FS, path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := fsys.Open(tmp, vfs.Write|vfs.Create|vfs.Truncate)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", tmp, asFull(err))
	}
	if err := fsys.Rename(tmp, path); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(path))
}

// Delete implements storage.Sidecar.
func (s *sidecar) Delete(name string) error {
	path, err := s.file(name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fs.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return s.fs.SyncDir(s.log.path)
}

// List implements storage.Sidecar.
func (s *sidecar) List() ([]string, error) {
	if err := s.log.load(); err != nil {
		return nil, err
	}
	all, err := s.fs.List(s.log.path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	var names []string
	for _, n := range all {
		if name, ok := strings.CutSuffix(n, sideSuffix); ok && name != edgesSide {
			names = append(names, name)
		}
	}
	return names, nil
}

// topicIDFile is Kafka's own file that says which incarnation of a topic a directory belongs to.
const topicIDFile = "partition.metadata"

func writeTopicID(fsys vfs.FS, dir string, id kafka.UUID) error {
	return replaceFile(fsys, filepath.Join(dir, topicIDFile), []byte("version: 0\ntopic_id: "+id.String()+"\n"))
}

// readTopicID is the id in dir's file; fs.ErrNotExist if there is none.
func readTopicID(fsys vfs.FS, dir string) (kafka.UUID, error) {
	b, err := readFile(fsys, filepath.Join(dir, topicIDFile), 1<<10)
	if err != nil {
		return kafka.UUID{}, err
	}
	for line := range bytes.Lines(b) {
		if v, ok := bytes.CutPrefix(line, []byte("topic_id:")); ok {
			return kafka.ParseUUID(string(bytes.TrimSpace(v)))
		}
	}
	return kafka.UUID{}, damagedAt(filepath.Join(dir, topicIDFile), 0, "no topic_id line")
}

var _ storage.Sidecar = (*sidecar)(nil)
