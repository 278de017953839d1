package seglog

import (
	"context"
	"sync"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// Several logs written at full speed want more memory than there is all the time. What is flushed must come free again, whoever evicts it:
// two that evicted at once used to lose a block, until there was none left and every append waited for ever.
func TestAppendsNeverRunOutOfMemoryForGood(t *testing.T) {
	o := quiet()
	o.HotBytes = 8 << 20
	e := open(t, vfs.NewMem(), o)
	defer e.Close()
	var wg sync.WaitGroup
	for p := range 6 {
		l, err := e.Open(id("t", int32(p)), storage.Config{SegmentBytes: 8 << 20})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			b := mkBatch(0, 1, 300<<10, 1)
			for n := range kafka.Offset(60) {
				record.Stamp(b, n, 0)
				if _, err := l.Append(b); err != nil {
					t.Error(err)
					return
				}
			}
			if err := l.Sync(context.Background(), 60); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// Appends that nobody reads do not take all the memory there is; once something was read from a file, they do. Nothing of it waits for anybody.
func TestMemoryGrowsForReadersOnly(t *testing.T) {
	o := quiet()
	o.HotBytes, o.HotLeast = 48<<20, 8<<20
	e := open(t, vfs.NewMem(), o)
	defer e.Close()
	l := openLog(t, e, "t", storage.Config{SegmentBytes: 256 << 20})
	next := kafka.Offset(0)
	write := func(n int) {
		b := mkBatch(0, 1, 300<<10, 1)
		for range n {
			record.Stamp(b, next, 0)
			if _, err := l.Append(b); err != nil {
				t.Fatal(err)
			}
			next++
			if err := l.Sync(t.Context(), next); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(200)
	if got := e.pool.usedBytes(); got > 9<<20 {
		t.Errorf("%d bytes are kept of what nobody read", got)
	}
	for from := kafka.Offset(0); from < 150; {
		x, err := l.Read(from, storage.ReadLimit{MaxBytes: 1 << 20, Below: -1})
		if err != nil || x == nil {
			t.Fatal(x, err)
		}
		b, err := x.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for h := range b.All() {
			from = h.NextOffset()
		}
		x.Release()
	}
	write(200)
	if got := e.pool.usedBytes(); got < 40<<20 || got > 48<<20 {
		t.Errorf("%d bytes are kept though somebody reads", got)
	}
}
