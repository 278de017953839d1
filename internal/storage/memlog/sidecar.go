package memlog

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"

	"github.com/rafka-io/rafka/internal/storage"
)

// sidecar keeps blobs in a map, which Log.mu guards. A blob in it never changes.
type sidecar struct {
	log   *Log
	blobs map[string][]byte
}

var _ storage.Sidecar = (*sidecar)(nil)

var blobName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,63}$`)

// Get implements storage.Sidecar.
func (s *sidecar) Get(name string) ([]byte, error) {
	s.log.mu.RLock()
	defer s.log.mu.RUnlock()
	blob, ok := s.blobs[name]
	if !ok {
		return nil, fmt.Errorf("%s: blob %q: %w", s.log.id, name, fs.ErrNotExist)
	}
	return bytes.Clone(blob), nil
}

// Put implements storage.Sidecar.
func (s *sidecar) Put(name string, blob []byte) error {
	if !blobName.MatchString(name) {
		return fmt.Errorf("%s: %q is no name for a blob: use a-z, 0-9, '.' and '-'", s.log.id, name)
	}
	return s.log.changeDurably(func() error {
		s.set(name, blob)
		s.log.noteLocked(kindPut, []byte{byte(len(name))}, []byte(name), blob)
		return nil
	})
}

func (s *sidecar) set(name string, blob []byte) {
	if s.blobs == nil {
		s.blobs = map[string][]byte{}
	}
	s.blobs[name] = bytes.Clone(blob)
}

// Delete implements storage.Sidecar.
func (s *sidecar) Delete(name string) error {
	return s.log.changeDurably(func() error {
		if _, ok := s.blobs[name]; ok {
			s.unset(name)
			s.log.noteLocked(kindDelete, []byte(name))
		}
		return nil
	})
}

func (s *sidecar) unset(name string) { delete(s.blobs, name) }

// all is the blobs; Log.mu is held. They do not change, the map does.
func (s *sidecar) all() map[string][]byte { return maps.Clone(s.blobs) }

// List implements storage.Sidecar.
func (s *sidecar) List() ([]string, error) {
	s.log.mu.RLock()
	defer s.log.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.blobs)), nil
}
