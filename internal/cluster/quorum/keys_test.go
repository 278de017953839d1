package quorum

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rafka-io/rafka/internal/metadata"
)

func TestKeysOfTheLogSortByRevision(t *testing.T) {
	last := keyHead
	for _, r := range []Revision{1, 2, 9, 10, 99, 100, 1 << 40, 1<<63 - 1} {
		key := logKey(r)
		if key <= last || key >= keyLogEnd {
			t.Errorf("%s does not sort between %s and %s", key, last, keyLogEnd)
		}
		if got, err := logRevision(key); err != nil || got != r {
			t.Errorf("%s reads as %d (%v)", key, got, err)
		}
		last = key
	}
	for _, key := range []string{"", keyLog, keyLog + "1", keyLog + "0000000000000000000x", logKey(1) + "0", logKey(0), keyHead} {
		if r, err := logRevision(key); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q reads as %d (%v)", key, r, err)
		}
	}
}

// Followers watch one range of keys; snapshots, brokers and voters must lie outside of it, or every piece of a snapshot would be sent to
// every node.
func TestOnlyTheLogIsWatched(t *testing.T) {
	s := base{revision: 1}
	for _, key := range []string{s.chunkKey(0), keyIDs, keyDirs, keyVoters} {
		if key >= keyHead && key < keyWatchEnd {
			t.Errorf("%s is watched", key)
		}
	}
	for _, key := range []string{keyHead, logKey(1), keyBase} {
		if key < keyHead || key >= keyWatchEnd {
			t.Errorf("%s is not watched", key)
		}
	}
}

func TestValuesReadAsTheyWereWritten(t *testing.T) {
	records := []metadata.Record{&metadata.ProducerIDsRecord{Next: 7}}
	l, err := decodeLogged(encodeLogged(5, 3, 1<<63, metadata.AppendRecords(nil, records)))
	if err != nil || l.batch.Revision != 5 || l.term != 3 || l.nonce != 1<<63 || len(l.batch.Records) != 1 {
		t.Errorf("%+v %v", l, err)
	}
	h := head{revision: 5, offset: 77, term: 3, node: 2}
	if got, err := decodeHead(h.encode()); err != nil || got != h {
		t.Errorf("%+v %v", got, err)
	}
	s := base{revision: 5, nonce: 1 << 60, chunks: 3, bytes: 3*chunkBytes - 1}
	if got, err := decodeBase(s.encode()); err != nil || got != s {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := decodeBase(base{revision: 5, chunks: 4, bytes: 3*chunkBytes - 1}.encode()); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if _, err := decodeHead(s.encode()); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

// What etcd gives back is damaged, of a newer Rafka or what was written, and never makes this node panic.
func FuzzDecodeValue(f *testing.F) {
	f.Add(encodeLogged(5, 3, 9, metadata.AppendRecords(nil, []metadata.Record{&metadata.ProducerIDsRecord{Next: 7}})))
	f.Add(head{revision: 5, offset: 77, term: 3, node: 2}.encode())
	f.Add(base{revision: 5, nonce: 9, chunks: 1, bytes: 100}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		// The checksum would keep the fuzzer outside, so it writes payloads.
		for _, kind := range []frameKind{frameCommit, frameHead, frameBase} {
			framed := endFrame(append(beginFrame(nil), b...), 0, kind, 5)
			for _, value := range [][]byte{b, framed} {
				if h, err := decodeHead(value); err == nil && h.revision < 0 {
					t.Errorf("%+v", h)
				}
				if s, err := decodeBase(value); err == nil && (s.chunks < 0 || s.bytes < 0 || s.bytes > frameHeader+maxPayload+frameAlign) {
					t.Errorf("%+v", s)
				}
				if l, err := decodeLogged(value); err == nil {
					again, err := decodeLogged(encodeLogged(l.batch.Revision, l.term, l.nonce, metadata.AppendRecords(nil, l.batch.Records)))
					if err != nil || !bytes.Equal(metadata.AppendRecords(nil, again.batch.Records), metadata.AppendRecords(nil, l.batch.Records)) {
						t.Errorf("%+v reads as %+v (%v)", l, again, err)
					}
				}
			}
		}
	})
}
