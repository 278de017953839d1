package seglog

import (
	"testing"

	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/logtest"
	"github.com/rafka-io/rafka/internal/storage/memlog"
	"github.com/rafka-io/rafka/internal/vfs"
)

// tight makes every limit bind in a small test: memory, journal and open files run out all the time.
func tight() Options {
	o := crashOptions()
	o.HotBytes, o.DirectBytes = 5<<20, 8<<10
	return o
}

func harness(t testing.TB, o Options) logtest.Harness {
	fsys := vfs.NewMem()
	e := open(t, fsys, o)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return logtest.Harness{Engine: e, Reopen: func(t testing.TB) storage.Engine {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		e = open(t, fsys, o)
		return e
	}}
}

func TestConformance(t *testing.T) {
	t.Run("direct", func(t *testing.T) {
		logtest.Run(t, func(t testing.TB) logtest.Harness { return harness(t, tight()) })
	})
	t.Run("buffered", func(t *testing.T) {
		logtest.Run(t, func(t testing.TB) logtest.Harness {
			o := tight()
			o.Buffered = true
			return harness(t, o)
		})
	})
}

// The same operations give the same answers here, in the engine in memory and in the model.
func TestMetamorphic(t *testing.T) {
	logtest.Metamorphic(t,
		logtest.Named{Name: "seglog", Open: func(t testing.TB) logtest.Harness { return harness(t, tight()) }},
		logtest.Named{Name: "memlog", Open: func(t testing.TB) logtest.Harness {
			e, err := memlog.Open(memlog.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close() })
			return logtest.Harness{Engine: e}
		}})
}

func TestCrash(t *testing.T) {
	logtest.Crash(t, func(fsys vfs.FS) (storage.Engine, error) { return Open(fsys, []string{"data"}, tight()) })
}

func TestFaults(t *testing.T) {
	logtest.Faults(t, func(fsys vfs.FS) (storage.Engine, error) { return Open(fsys, []string{"data"}, tight()) })
}
