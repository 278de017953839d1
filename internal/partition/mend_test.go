package partition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/rafka-io/rafka/internal/digest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/seglog"
	"github.com/rafka-io/rafka/internal/vfs"
)

// onDisk is a replica over an engine on a file system of its own, so that its files can be harmed.
type onDisk struct {
	*bench
	fs     *vfs.Mem
	engine storage.Engine
}

func newOnDisk(t testing.TB, s Settings) *onDisk {
	r := &onDisk{bench: newBench(t), fs: vfs.NewMem()}
	s.Log.SegmentBytes = 4000
	r.settings = &s
	r.open()
	t.Cleanup(func() { r.engine.Close() })
	return r
}

func (r *onDisk) open() {
	r.Helper()
	e, err := seglog.Open(r.fs, []string{"data"}, seglog.Options{Logger: slog.New(slog.DiscardHandler), HotBytes: 1 << 20})
	if err != nil {
		r.Fatal(err)
	}
	r.engine = e
	r.Partition = New(r.id, &Host{Engine: e, Logger: slog.New(slog.DiscardHandler), Now: r.host.Now}, r.settings, &Stats{})
}

func (r *onDisk) restart() {
	r.Helper()
	role := r.Role()
	if err := errors.Join(r.Close(context.Background()), r.engine.Close()); err != nil {
		r.Fatal(err)
	}
	r.open()
	r.SetRole(role)
}

// take appends batches of a leader, all committed.
func (r *onDisk) take(batches ...record.Batches) {
	r.Helper()
	r.follows(6)
	next := r.point().Offset
	for _, b := range batches {
		next = r.appendFrom(6, b)
	}
	if err := errors.Join(r.SyncFollower(context.Background(), next), r.LeaderSaid(6, next, 0)); err != nil {
		r.Fatal(err)
	}
}

// all is every byte of the log that can be read.
func (r *onDisk) all() (all []byte, err error) {
	l, err := r.use()
	if err != nil {
		return nil, err
	}
	err = eachBatch(l, r.LogStart(), l.Bounds().End, func(_ *record.Header, batch []byte) error {
		all = append(all, batch...)
		return nil
	})
	return all, err
}

// harm changes the file of the segment that begins at base.
func (r *onDisk) harm(base kafka.Offset, fn func(f vfs.File, size int64)) {
	r.Helper()
	f, err := r.fs.Open(filepath.Join("data", r.id.String(), fmt.Sprintf("%020d.log", base)), vfs.Write)
	if err != nil {
		r.Fatal(err)
	}
	size, _ := f.Size()
	fn(f, size)
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		r.Fatal(err)
	}
}

// copies reads from another replica.
func (r *onDisk) copies(_ context.Context, from kafka.Offset) (digest.Copy, error) {
	return r.Copy(from, 1500)
}

// someBatches are batches of one to three records of leader epochs that rise now and then.
func someBatches(rng *rand.Rand, n int) (list []record.Batches) {
	at, epoch := kafka.Offset(0), kafka.LeaderEpoch(1)
	for range n {
		records := 1 + rng.IntN(3)
		list = append(list, replicated(plainBatch(records), at, epoch))
		at += kafka.Offset(records)
		if rng.IntN(20) == 0 && epoch < 6 {
			epoch++
		}
	}
	return list
}

func flipBit(rng *rand.Rand) func(f vfs.File, size int64) {
	return func(f vfs.File, size int64) {
		b, at := make([]byte, 1), rng.Int64N(size)
		f.ReadAt(b, at)
		b[0] ^= 1 << rng.IntN(8)
		f.WriteAt(b, at)
	}
}

// PAR-9: whatever of a closed segment is damaged, a mended log is what it was, on a leader and on a follower, and what is not damaged was readable all along.
func TestDamageIsMendedFromAnotherReplica(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed.Of(t), 0))
	harms := map[string]func(f vfs.File, size int64){
		"a bit":           flipBit(rng),
		"a block":         func(f vfs.File, size int64) { f.WriteAt(make([]byte, 512), rng.Int64N(size-512)) },
		"all":             func(f vfs.File, size int64) { f.WriteAt(make([]byte, size), 0) },
		"two bits":        func(f vfs.File, size int64) { flipBit(rng)(f, size/2); flipBit(rng)(f, size) },
		"the end, cut":    func(f vfs.File, size int64) { f.Truncate(size - 1 - rng.Int64N(size/2)) },
		"the end, zeroed": func(f vfs.File, size int64) { n := 1 + rng.Int64N(300); f.WriteAt(make([]byte, n), size-n) },
	}
	for name, harm := range harms {
		for _, leads := range []bool{false, true} {
			for round := range 8 {
				batches := someBatches(rng, 100+rng.IntN(100))
				good, bad := newOnDisk(t, *newBench(t).settings), newOnDisk(t, *newBench(t).settings)
				good.take(batches...)
				bad.take(batches...)
				bad.restart() // so that nothing is in memory
				want, err := good.all()
				if err != nil {
					t.Fatal(err)
				}
				bad.take()
				if leads {
					bad.leads(7, 7, 0, 1)
				}
				segments := bad.segments()
				at := segments[rng.IntN(len(segments))] // the active one too, if there is enough of it
				if at.Bytes < 1200 {
					at = segments[0]
				}
				bad.harm(at.Base, harm)
				what := fmt.Sprintf("%s of segment %d, leads %v, round %d", name, at.Base, leads, round)
				for i := 0; ; i++ { // flips of the leader's epoch in a header are nobody's to find here
					found := bad.firstDamage()
					if found < 0 {
						break
					}
					done, err := bad.Mend(context.Background(), found, good.copies)
					if err != nil || done.Filled == 0 || i > 3 {
						t.Fatalf("%s: mend at %d: %+v, %v", what, found, done, err)
					}
				}
				got, err := bad.all()
				if err != nil || len(got) != len(want) {
					t.Fatalf("%s: %d bytes of %d, %v", what, len(got), len(want), err)
				}
				if !bytes.Equal(got, want) && !onlyEpochsDiffer(got, want) {
					t.Fatalf("%s: the log is another one", what)
				}
				bad.engine.Close()
				good.engine.Close()
			}
		}
	}
}

func (r *onDisk) segments() []storage.SegmentInfo {
	l, err := r.use()
	if err != nil {
		r.Fatal(err)
	}
	return l.Log.(storage.Segmented).Segments()
}

// firstDamage goes over the log; NoOffset: it is sound.
func (r *onDisk) firstDamage() kafka.Offset {
	r.Helper()
	for from := r.LogStart(); ; {
		in, err := r.Inspect(from, 1<<20, func(*record.Header, []byte) error { return nil })
		if err != nil {
			r.Fatal(err)
		}
		if len(in.Rot) > 0 {
			return in.Rot[0].From
		}
		if in.Next <= from || in.Next >= r.LogEnd() {
			return kafka.NoOffset
		}
		from = in.Next
	}
}

func onlyEpochsDiffer(a, b record.Batches) bool {
	for len(a) > 0 && len(b) > 0 {
		h, err := record.Check(a)
		if err != nil || len(b) < h.Size() || !bytes.Equal(a[:12], b[:12]) || !bytes.Equal(a[16:h.Size()], b[16:h.Size()]) {
			return false
		}
		a, b = a[h.Size():], b[h.Size():]
	}
	return len(a) == len(b)
}

// PAR-9: a log that cannot even be loaded, because what would have to be read for that is damaged, is mended all the same, though nobody here knows how far it is
// committed: the other replica does.
func TestALogThatCannotBeLoadedIsMended(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed.Of(t), 0))
	batches := someBatches(rng, 150)
	settings := *newBench(t).settings
	good, bad := newOnDisk(t, settings), newOnDisk(t, settings)
	good.take(batches...)
	bad.take(batches...)
	bad.restart()
	l, err := bad.use()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Sidecar().Delete(producersBlob); err != nil {
		t.Fatal(err)
	}
	at := bad.segments()[1]
	bad.harm(at.Base, func(f vfs.File, _ int64) { f.WriteAt(make([]byte, 700), 500) })
	var told []kafka.Offset
	bad.host.OnRot = func(_ *Partition, at kafka.Offset, _ error) { told = append(told, at) }
	l.Configure(bad.logConfig(l, bad.Settings()))
	_, err = bad.FollowPoint()
	if wantCode(t, err, kafka.KafkaStorageError); len(told) == 0 || bad.HighWatermark() != 0 {
		t.Fatalf("told of %v, high watermark %d", told, bad.HighWatermark())
	}
	if done, err := bad.Mend(context.Background(), told[0], good.copies); err != nil || done.Filled == 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if p := bad.point(); p.Offset != good.point().Offset {
		t.Fatalf("%+v", p)
	}
}

// PAR-9: nothing is put into a log that is not proven to have been there: not from a replica that holds something else around the damage, nor beyond what is committed.
func TestOnlyWhatWasThereIsPutBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed.Of(t), 0))
	batches := someBatches(rng, 150)
	settings := *newBench(t).settings
	bad, other, short := newOnDisk(t, settings), newOnDisk(t, settings), newOnDisk(t, settings)
	bad.take(batches...)
	bad.restart()
	bad.take()
	var changed []record.Batches
	for _, b := range batches {
		h, _ := record.ParseHeader(b)
		changed = append(changed, replicated(batch(record.PlainOptions(), int(h.Records), 1_600_000_000_000), h.BaseOffset, h.LeaderEpoch))
	}
	other.take(changed...)
	short.take(batches[:3]...)
	at := bad.segments()[1]
	bad.harm(at.Base, func(f vfs.File, _ int64) { f.WriteAt(make([]byte, 700), 500) })
	before := len(bad.segments())
	for name, r := range map[string]*onDisk{"with another history": other, "that is short": short} {
		if done, err := bad.Mend(context.Background(), at.Base, r.copies); err == nil || len(done.Found) == 0 || done.Filled > 0 {
			t.Errorf("a replica %s mends: %+v, %v", name, done, err)
		}
	}
	good := newOnDisk(t, settings)
	good.take(batches...)
	lagging := func(ctx context.Context, from kafka.Offset) (digest.Copy, error) {
		c, err := good.copies(ctx, from)
		c.HighWatermark = 0
		return c, err
	}
	bad.restart() // and does not know how far its log is committed
	bad.leads(7, 7, 0, 1)
	if _, err := bad.Mend(context.Background(), at.Base, lagging); !errors.Is(err, errUncommitted) {
		t.Errorf("what is not known to be committed: %v", err)
	}
	if n := len(bad.segments()); n != before {
		t.Errorf("%d segments, %d before", n, before)
	}
	if done, err := bad.Mend(context.Background(), at.Base, good.copies); err != nil || done.Filled == 0 {
		t.Errorf("a good replica does not mend: %+v, %v", done, err)
	}
}

// PAR-9: of a compacted log a batch is put back that has the checksum of the lost one; otherwise all of the other replica's compacted part, never a
// single batch that could bring back what was deleted.
func TestCompactedLogsAreMendedExactlyOrWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed.Of(t), 0))
	batches := someBatches(rng, 150)
	settings := *newBench(t).settings
	settings.Compact, settings.Delete = true, false
	for _, headerToo := range []bool{false, true} {
		good, bad := newOnDisk(t, settings), newOnDisk(t, settings)
		good.take(batches...)
		bad.take(batches...)
		bad.restart()
		bad.take()
		// As if compaction had been over the first three segments here and removed two batches of the second.
		l, _ := bad.use()
		segments := bad.segments()
		if err := l.Sidecar().Put(compactedBlob, encodeCompacted(segments[2].Next)); err != nil {
			t.Fatal(err)
		}
		seg, removed := segments[1], 0
		var kept []record.Batches
		err := l.Log.(storage.Segmented).ReadSegment(seg.Base, func(b record.Batches) error {
			if removed++; removed != 3 && removed != 4 {
				kept = append(kept, bytes.Clone(b))
			}
			return nil
		})
		if err == nil {
			err = l.Log.(storage.Segmented).ReplaceSegments(seg.Base, seg.Next, func(sink func(record.Batches) error) error {
				for _, b := range kept {
					if err := sink(b); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err != nil {
			t.Fatal(err)
		}
		was, err := bad.all()
		if err != nil {
			t.Fatal(err)
		}
		size := int64(len(kept[0]))
		bad.harm(seg.Base, func(f vfs.File, _ int64) {
			if f.WriteAt([]byte{1, 2, 3}, size-3); headerToo {
				f.WriteAt(make([]byte, size), 0)
			}
		})
		if done, err := bad.Mend(context.Background(), seg.Base, good.copies); err != nil || done.Filled != 1 {
			t.Fatalf("header too %v: %+v, %v", headerToo, done, err)
		}
		want := was
		if headerToo {
			want, _ = good.all()
		}
		if got, err := bad.all(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("header too %v: %d bytes, want %d of %d, %v", headerToo, len(got), len(want), len(was), err)
		}
	}
}
