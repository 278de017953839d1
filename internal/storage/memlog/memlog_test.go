package memlog

import (
	"testing"

	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/logtest"
	"github.com/rafka-io/rafka/internal/vfs"
)

func openMemory(t testing.TB) logtest.Harness {
	e, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return logtest.Harness{Engine: e}
}

// openOver is an engine with a write-ahead log and snapshots so small that there are many.
func openOver(fs vfs.FS) (storage.Engine, error) {
	e, err := Open(Options{Dir: "/data", FS: fs, SnapshotBytes: 40 << 10, BufferBytes: 64 << 10})
	if err != nil {
		return nil, err
	}
	return e, nil
}

func openDurable(t testing.TB) logtest.Harness {
	mem := vfs.NewMem()
	e, err := openOver(mem)
	if err != nil {
		t.Fatal(err)
	}
	end := func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { end() })
	return logtest.Harness{Engine: e, Reopen: func(t testing.TB) storage.Engine {
		end()
		if e, err = openOver(mem); err != nil {
			t.Fatal(err)
		}
		return e
	}}
}

// The engine keeps the contract without a disk: STO-1, STO-2, STO-4, STO-5, STO-6.
func TestMemoryKeepsTheContract(t *testing.T) { logtest.Run(t, openMemory) }

// And with a write-ahead log: STO-1 to STO-6.
func TestWriteAheadLogKeepsTheContract(t *testing.T) { logtest.Run(t, openDurable) }

func TestRandomOperationsAnswerAlike(t *testing.T) {
	logtest.Metamorphic(t, logtest.Named{Name: "memory", Open: openMemory}, logtest.Named{Name: "durable", Open: openDurable})
}

// STO-3 at every sync point.
func TestCrashesLoseNothingConfirmed(t *testing.T) { logtest.Crash(t, openOver) }

// STO-7.
func TestBrokenDiskTakesTheLogsOffline(t *testing.T) { logtest.Faults(t, openOver) }

func BenchmarkAppend(b *testing.B) {
	b.Run("100B", func(b *testing.B) { logtest.BenchmarkAppend(b, openMemory(b).Engine, 100, 1000) })
	b.Run("16KiB", func(b *testing.B) { logtest.BenchmarkAppend(b, openMemory(b).Engine, 16<<10, 1000) })
}
