package vfs

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/seed"
)

var modes = []CrashMode{LoseUnsynced, KeepAll, KeepSome}

// A file whose directory was not synced may be gone after a crash; once it was, it stays (VFS-2).
func TestCreatedFileNeedsItsDirectorySynced(t *testing.T) {
	m := NewMem()
	must(t, m.MkdirAll("/d/e"))
	f := create(t, m, "/d/e/f")
	write(t, f, "hello", 0)
	must(t, f.Sync())
	exists := func(mode CrashMode) bool {
		_, err := m.Crash(rand.New(rand.NewPCG(1, 1)), mode).Stat("/d/e/f")
		return err == nil
	}
	if exists(LoseUnsynced) || !exists(KeepAll) {
		t.Fatal("without any SyncDir")
	}
	must(t, m.SyncDir("/d/e"))
	must(t, m.SyncDir("/d"))
	if exists(LoseUnsynced) {
		t.Fatal("the root's entry was not synced")
	}
	must(t, m.SyncDir("/"))
	for _, mode := range modes {
		if !exists(mode) {
			t.Fatal("lost though synced, mode", mode)
		}
		if got := content(t, m.Crash(rand.New(rand.NewPCG(1, 1)), mode), "/d/e/f"); got != "hello" {
			t.Fatalf("mode %d: %q", mode, got)
		}
	}
	must(t, m.Remove("/d/e/f"))
	if !exists(LoseUnsynced) || exists(KeepAll) {
		t.Fatal("an unsynced remove")
	}
}

// A replacing rename leaves the old file or the new one, never neither and never a file that was neither (VFS-2).
func TestRenameIsAtomicAcrossCrashes(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	m := NewMem()
	put := func(text string) {
		f := create(t, m, "f.tmp")
		write(t, f, text, 0)
		must(t, f.Sync())
		must(t, f.Close())
		must(t, m.Rename("f.tmp", "f"))
	}
	put("1")
	must(t, m.SyncDir("/"))
	put("2")
	put("3")
	seen := map[string]bool{}
	for range 200 {
		seen[content(t, m.Crash(rng, KeepSome), "f")] = true
	}
	if len(seen) != 3 {
		t.Errorf("crashes left %v, want each of three versions at times", seen)
	}
	must(t, m.SyncDir("/"))
	if got := content(t, m.Crash(rng, LoseUnsynced), "f"); got != "3" {
		t.Errorf("after SyncDir: %q", got)
	}
	// Between directories both must be synced.
	must(t, m.MkdirAll("d"))
	must(t, m.SyncDir("/"))
	must(t, m.Rename("f", "d/g"))
	must(t, m.SyncDir("d"))
	if got := content(t, m.Crash(rng, LoseUnsynced), "f"); got != "3" {
		t.Errorf("half synced: %q", got)
	}
	must(t, m.SyncDir("/"))
	if got := content(t, m.Crash(rng, LoseUnsynced), "d/g"); got != "3" {
		t.Errorf("moved: %q", got)
	}
}

// After a failed sync the file never reports success again, and what the failed sync should have written is not on disk even if
// another descriptor's sync succeeds (VFS-3).
func TestFailedSyncPoisonsTheFile(t *testing.T) {
	m := NewMem()
	f := create(t, m, "f")
	must(t, m.SyncDir("/"))
	write(t, f, "durable", 0)
	must(t, f.Sync())
	write(t, f, "vanished", 0)
	broken := errors.New("input/output error")
	m.Fail(func(op, _ string) error {
		if op == "sync" {
			return broken
		}
		return nil
	})
	if err := f.Sync(); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	m.Fail(nil)
	if err := f.Sync(); !errors.Is(err, ErrPoisoned) || !errors.Is(err, broken) {
		t.Fatalf("second sync: %v", err)
	}
	g := create(t, m, "f")
	must(t, g.Sync())
	if got := content(t, m.Crash(nil, LoseUnsynced), "f"); !strings.HasPrefix(got, "durable") {
		t.Fatalf("a later sync wrote what the failed one dropped: %q", got)
	}
	write(t, g, "rewritten", 0)
	must(t, g.Sync())
	if got := content(t, m.Crash(nil, LoseUnsynced), "f"); got != "rewritten" {
		t.Fatalf("%q", got)
	}
}

// The operating system's files poison themselves in the same way (VFS-3).
func TestFlushRemembersTheFirstFailure(t *testing.T) {
	broken := errors.New("input/output error")
	var f flush
	must(t, f.run(func() error { return nil }))
	if err := f.run(func() error { return broken }); err != broken {
		t.Fatal(err)
	}
	for range 2 {
		err := f.run(func() error { t.Error("asked the system again"); return nil })
		if !errors.Is(err, ErrPoisoned) || !errors.Is(err, broken) {
			t.Fatal(err)
		}
	}
}

// A crash keeps synced blocks as they were and may lose, keep or tear others in sectors (VFS-4). The oracle is a copy of the file at
// its last sync and one of its current content.
func TestCrashNeverHarmsSyncedBlocks(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	m := NewMem()
	f := create(t, m, "f")
	must(t, m.SyncDir("/"))
	const blocks = 8
	var synced, current []byte
	touched := map[int]bool{}
	torn, lost, kept, cut := 0, 0, 0, 0
	for range 400 {
		switch rng.IntN(6) {
		case 0:
			must(t, f.Sync())
			synced = bytes.Clone(current)
			clear(touched)
		case 1:
			if rng.IntN(4) == 0 {
				// A shrinking truncate is synced at once here: without, what it cut may come back, see the next test.
				size := rng.Int64N(blocks * BlockSize)
				must(t, f.Truncate(size))
				must(t, f.Sync())
				current = append(current, make([]byte, blocks*BlockSize)...)[:size]
				synced = bytes.Clone(current)
				clear(touched)
			}
		default:
			off, n := rng.IntN(blocks*BlockSize), rng.IntN(2*BlockSize)+1
			b := bytes.Repeat([]byte{byte(rng.IntN(255) + 1)}, n)
			write(t, f, string(b), int64(off))
			if off+n > len(current) {
				current = append(current, make([]byte, off+n-len(current))...)
			}
			copy(current[off:], b)
			for i := off / BlockSize; i <= (off+n-1)/BlockSize; i++ {
				touched[i] = true
			}
		}
		if got := content(t, m.Crash(rng, LoseUnsynced), "f"); got != string(synced) {
			t.Fatal("what was synced is not what is left")
		}
		if got := content(t, m.Crash(rng, KeepAll), "f"); got != string(current) {
			t.Fatal("a dead process lost what the system had")
		}
		clone := m.Crash(rng, KeepSome)
		got := []byte(content(t, clone, "f"))
		if len(got) < len(synced) || len(got) > len(current) {
			t.Fatalf("size %d, synced %d, current %d", len(got), len(synced), len(current))
		}
		if len(got) < len(current) {
			cut++
		}
		for at := 0; at < len(got); at += BlockSize {
			end := min(at+BlockSize, len(got))
			old, new := window(synced, at, end), window(current, at, end)
			if !touched[at/BlockSize] && !bytes.Equal(got[at:end], old) {
				t.Fatalf("synced block %d changed", at/BlockSize)
			}
			switch {
			case bytes.Equal(got[at:end], new):
				kept++
			case bytes.Equal(got[at:end], old):
				lost++
			default:
				torn++
				for s := at; s < end; s += sector {
					e := min(s+sector, end)
					if !bytes.Equal(got[s:e], window(synced, s, e)) && !bytes.Equal(got[s:e], window(current, s, e)) {
						t.Fatalf("sector at %d is neither old nor new", s)
					}
				}
			}
		}
		// What is left is at rest: another crash changes nothing.
		if again := content(t, clone.Crash(rng, KeepSome), "f"); again != string(got) {
			t.Fatal("a crash of what a crash left differs")
		}
	}
	if torn == 0 || lost == 0 || kept == 0 || cut == 0 {
		t.Errorf("blocks torn %d, lost %d, kept %d, files shorter %d: each should happen", torn, lost, kept, cut)
	}
}

// window is b[from:to], with zeros beyond its end.
func window(b []byte, from, to int) []byte {
	w := make([]byte, to-from)
	if from < len(b) {
		copy(w, b[from:])
	}
	return w
}

// A truncate that was not synced leaves the old size with the old bytes, or the new size (VFS-4).
func TestUnsyncedTruncateIsUndoneOrKept(t *testing.T) {
	m := NewMem()
	f := create(t, m, "f")
	must(t, m.SyncDir("/"))
	old := bytes.Repeat([]byte("o"), 3*BlockSize)
	write(t, f, string(old), 0)
	must(t, f.Sync())
	must(t, f.Truncate(BlockSize))
	rng := rand.New(rand.NewPCG(1, 4))
	sizes := map[int]bool{}
	for range 100 {
		got := content(t, m.Crash(rng, KeepSome), "f")
		sizes[len(got)] = true
		if got != string(old[:len(got)]) {
			t.Fatal("bytes that were never cut are gone")
		}
	}
	if len(sizes) != 2 || !sizes[BlockSize] || !sizes[3*BlockSize] {
		t.Errorf("sizes %v", sizes)
	}
	must(t, f.Sync())
	if got := content(t, m.Crash(rng, LoseUnsynced), "f"); len(got) != BlockSize {
		t.Errorf("synced truncate left %d bytes", len(got))
	}
}

// The original and its crashed copy share blocks; neither sees the other's writes (VFS-4).
func TestCrashedCopyIsItsOwn(t *testing.T) {
	m := NewMem()
	f := create(t, m, "f")
	write(t, f, "one", 0)
	must(t, f.Sync())
	must(t, m.SyncDir("/"))
	for _, mode := range modes {
		clone := m.Crash(rand.New(rand.NewPCG(1, 5)), mode)
		g := create(t, clone, "f")
		write(t, g, "two", 0)
		write(t, f, "one", 0)
		if content(t, m, "f") != "one" || content(t, clone, "f") != "two" {
			t.Fatal("shared")
		}
	}
}

// OnSync runs before each sync takes effect, so that a crash there shows what the sync would have protected (VFS-4).
func TestOnSyncSeesTheStateBefore(t *testing.T) {
	m := NewMem()
	var calls []string
	m.OnSync(func(path string) {
		calls = append(calls, path)
		if _, err := m.Crash(nil, LoseUnsynced).Stat("f"); !errors.Is(err, fs.ErrNotExist) {
			t.Error("the file is there before its directory's sync:", err)
		}
	})
	f := create(t, m, "f")
	must(t, f.Sync())
	must(t, m.SyncDir("/"))
	if got := strings.Join(calls, " "); got != "f /" {
		t.Errorf("calls %q", got)
	}
	if c := m.Counts(); c.Syncs != 1 || c.SyncDirs != 1 {
		t.Errorf("counts %+v", c)
	}
}
