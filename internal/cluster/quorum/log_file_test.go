package quorum

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/vfs"
)

const testDir = "/d"

// stored makes a store's file of a few commits and returns its bytes. clean: with the mark of a clean stop.
func stored(t testing.TB, clean bool) []byte {
	t.Helper()
	mem := vfs.NewMem()
	s, err := Open(Options{FS: mem, Dir: testDir})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		value := strconv.Itoa(i)
		r := &metadata.ConfigRecord{Resource: metadata.Resource{Type: metadata.ResourceGroup, Name: "g"}, Name: "n", Value: &value}
		if _, err := s.Commit(t.Context(), 1, nil, []metadata.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	if clean {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	f, err := mem.Open(testDir+"/"+logName, 0)
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

func reopen(t testing.TB, content []byte) (*Local, error) {
	t.Helper()
	mem := vfs.NewMem()
	if err := mem.MkdirAll(testDir); err != nil {
		t.Fatal(err)
	}
	f, err := mem.Open(testDir+"/"+logName, vfs.Write|vfs.Create)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(content, 0); err != nil {
		t.Fatal(err)
	}
	return Open(Options{FS: mem, Dir: testDir})
}

// A file that ends in the middle of its last frame is what a crash leaves: the frame goes. A file cut shorter than that keeps a
// prefix of its commits; one without its first frame was never made by us and is refused.
func TestCutFileKeepsWholeFrames(t *testing.T) {
	whole := stored(t, false)
	_, first, err := parseFrame(whole)
	if err != nil {
		t.Fatal(err)
	}
	last := Revision(0)
	for cut := range len(whole) + 1 {
		s, err := reopen(t, whole[:cut])
		if cut < first {
			// Padding of the first frame carries nothing, so the file may end in it.
			if err == nil && cut >= frameHeader && s.head == 0 {
				continue
			}
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("cut in the first frame at %d: %v", cut, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if s.head < last || s.head > last+1 {
			t.Fatalf("cut at %d gives revision %d, one byte less gave %d", cut, s.head, last)
		}
		last = s.head
		// A file that ends in the padding of its last frame goes on at the next multiple of 8 all the same.
		if s.log.end%frameAlign != 0 {
			t.Fatalf("cut at %d: the next frame would go to %d", cut, s.log.end)
		}
	}
	if last != 5 {
		t.Fatalf("the whole file has revision %d", last)
	}
}

// Damage anywhere but in the last frame of a run that did not stop cleanly is refused: not one bit may flip unnoticed, and nothing
// is skipped or cut. After a clean stop that is so for every commit.
func TestFlippedBitsAreFound(t *testing.T) {
	for _, clean := range []bool{true, false} {
		whole := stored(t, clean)
		var starts []int
		for at := 0; at < len(whole); {
			_, size, err := parseFrame(whole[at:])
			if err != nil {
				t.Fatal(err)
			}
			starts = append(starts, at)
			at += size
		}
		tail := starts[len(starts)-1]
		for i := range tail {
			for bit := range 8 {
				b := append([]byte(nil), whole...)
				b[i] ^= 1 << bit
				s, err := reopen(t, b)
				if err == nil && s.head == 5 && s.cut == 0 {
					continue // in the padding between frames
				}
				if !errors.Is(err, ErrDamaged) {
					t.Fatalf("clean %v, bit %d of byte %d of %d: %v", clean, bit, i, len(whole), err)
				}
			}
		}
		for i := tail; i < len(whole); i++ {
			b := append([]byte(nil), whole...)
			b[i] ^= 1
			s, err := reopen(t, b)
			if err != nil || s.head < 4 || clean && s.head != 5 {
				t.Fatalf("clean %v, byte %d in the last frame: %v", clean, i, err)
			}
		}
	}
}

// MET-3: a log with a record of a newer version stops the node, and is not called damaged.
func TestNewerRecordsStopTheNode(t *testing.T) {
	whole := stored(t, false)
	newer := []byte{1, 99, 1, 0}
	b := endFrame(appendBatches(beginFrame(append([]byte(nil), whole...)), [][]byte{newer}), len(whole), frameBatches, 6)
	if _, err := reopen(t, b); !errors.Is(err, metadata.ErrUnknownRecord) || errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
}

// Frames that are whole but do not continue the history are damage, too.
func TestFramesOutOfOrderAreRefused(t *testing.T) {
	whole := stored(t, false)
	records := metadata.AppendRecords(nil, []metadata.Record{&metadata.ProducerIDsRecord{Next: 1}})
	for name, f := range map[string]func(b []byte) []byte{
		"revision again": func(b []byte) []byte {
			return endFrame(appendBatches(beginFrame(b), [][]byte{records}), len(b), frameBatches, 5)
		},
		"revision skipped": func(b []byte) []byte {
			return endFrame(appendBatches(beginFrame(b), [][]byte{records}), len(b), frameBatches, 7)
		},
		"second snapshot": func(b []byte) []byte {
			return endFrame(appendSnapshot(beginFrame(b), metadata.Snapshot{}), len(b), frameSnapshot, 5)
		},
		"closed elsewhere": func(b []byte) []byte { return endFrame(beginFrame(b), len(b), frameClosed, 4) },
		"unknown kind":     func(b []byte) []byte { return endFrame(beginFrame(b), len(b), 77, 5) },
		"not a list of batches": func(b []byte) []byte {
			return endFrame(append(beginFrame(b), 9, 9), len(b), frameBatches, 6)
		},
	} {
		if _, err := reopen(t, f(append([]byte(nil), whole...))); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Random garbage behind the last frame, as an unfinished write leaves, never keeps a node from starting.
func TestGarbageTailIsCut(t *testing.T) {
	whole := stored(t, false)
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 3))
	for range 200 {
		b := append([]byte(nil), whole...)
		for range 1 + rng.IntN(9000) {
			b = append(b, byte(rng.Uint32()*uint32(rng.IntN(2))))
		}
		s, err := reopen(t, b)
		if err != nil || s.head != 5 || s.Cut() != int64(len(b)-len(whole)) {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// Whatever the bytes of a file: no panic, memory in proportion, and what opens can be committed to and opened again.
func FuzzOpen(f *testing.F) {
	f.Add(stored(f, true))
	f.Add(stored(f, false))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := reopen(t, b)
		if err != nil {
			return
		}
		rev, err := s.Commit(t.Context(), 1, nil, []metadata.Record{&metadata.RemoveTopicRecord{}})
		if !errors.Is(err, metadata.ErrConflict) {
			t.Fatal(rev, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// The decoders behind the checksum see whatever a faulty disk makes of it.
func FuzzDecodeFrame(f *testing.F) {
	f.Add(stored(f, true))
	f.Add(appendBatches(nil, [][]byte{{0}, {0}}))
	f.Add(appendSnapshot(nil, metadata.Snapshot{Offset: 7}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if frame, size, err := parseFrame(b); err == nil && (size >= len(b)+frameAlign || len(frame.payload) > size) {
			t.Fatalf("a frame of %d bytes in %d", size, len(b))
		}
		_, _ = decodeBatches(b)
		_, _ = decodeSnapshot(b)
	})
}
