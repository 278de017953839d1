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
