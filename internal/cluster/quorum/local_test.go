package quorum_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/cluster/quorum/quorumtest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/vfs"
)

const dir = "/var/lib/rafka"

func open(t testing.TB, fs vfs.FS, o quorum.Options) *quorum.Local {
	t.Helper()
	o.FS, o.Dir, o.Node = fs, dir, 1
	s, err := quorum.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLocalOnDisk(t *testing.T) {
	quorumtest.Run(t, func(t *testing.T) quorum.Store { return open(t, vfs.NewMem(), quorum.Options{}) })
}

func TestLocalOnDiskThatCompactsAllTheTime(t *testing.T) {
	quorumtest.Run(t, func(t *testing.T) quorum.Store { return open(t, vfs.NewMem(), quorum.Options{CompactBytes: 1}) })
}

func TestLocalWithoutFiles(t *testing.T) {
	quorumtest.Run(t, func(t *testing.T) quorum.Store { return open(t, nil, quorum.Options{}) })
}

func TestLocalOnTheSystemsFiles(t *testing.T) {
	o := quorum.Options{FS: vfs.OS(), Dir: filepath.Join(t.TempDir(), "a", "b"), Node: 1, CompactBytes: 200}
	s, err := quorum.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		quorumtest.Commit(t, s, quorumtest.Set("a", strconv.Itoa(i)))
	}
	if _, err := quorum.Open(o); !errors.Is(err, vfs.ErrLocked) {
		t.Fatalf("a second store in the directory: %v", err)
	}
	img, rev := quorumtest.Image(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = quorum.Open(o); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if again, at := quorumtest.Image(t, s); at != rev || fingerprint(again) != fingerprint(img) {
		t.Fatalf("revision %d after a restart, %d before", at, rev)
	}
}

func fingerprint(img *metadata.Image) string {
	return strconv.FormatInt(int64(img.Offset), 10) + string(metadata.AppendRecords(nil, metadata.SnapshotOf(img).Records))
}

// step makes the records of commit i: topics that come, grow and go, and settings, some of them long enough to span disk blocks.
func step(rng *rand.Rand, img *metadata.Image, i int) []metadata.Record {
	one := []metadata.PartitionRun{{Count: 3, Partition: metadata.Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}}}
	switch topics := img.Topics.Sorted(); {
	case len(topics) > 4 && rng.IntN(2) == 0:
		return []metadata.Record{&metadata.RemoveTopicRecord{ID: topics[rng.IntN(len(topics))].ID}}
	case rng.IntN(3) == 0:
		id := kafka.UUID{0: byte(i), 1: byte(i >> 8), 15: 9}
		return []metadata.Record{&metadata.TopicRecord{ID: id, Name: fmt.Sprint("t", i), Partitions: one}, &metadata.ProducerIDsRecord{Next: kafka.ProducerID(i)}}
	}
	return []metadata.Record{quorumtest.Set(fmt.Sprint("k", rng.IntN(5)), strings.Repeat(strconv.Itoa(i), 1+rng.IntN(2500)))}
}

// QUO-1: after a crash at any sync point, in which the disk loses, keeps or tears what was not synced, every acknowledged commit is
// there and nothing that was never committed; and the store goes on from there.
func TestAcknowledgedCommitsSurviveACrashAtEverySyncPoint(t *testing.T) {
	for range 4 {
		seed := seed.Of(t)
		rng := rand.New(rand.NewPCG(seed, 7))
		mem := vfs.NewMem()
		type crash struct {
			fs    *vfs.Mem
			acked quorum.Revision
		}
		var crashes []crash
		var acked quorum.Revision
		mem.OnSync(func(string) {
			for _, mode := range []vfs.CrashMode{vfs.LoseUnsynced, vfs.KeepAll, vfs.KeepSome, vfs.KeepSome, vfs.KeepSome} {
				crashes = append(crashes, crash{mem.Crash(rng, mode), acked})
			}
		})
		prints := []string{fingerprint(metadata.Empty())}
		img := metadata.Empty()
		i := 0
		for range 3 { // three lives with a clean stop between them
			s := open(t, mem, quorum.Options{CompactBytes: 8 << 10})
			for range 20 {
				i++
				records := step(rng, img, i)
				var err error
				if img, _, err = metadata.Fold(img, records); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				prints = append(prints, fingerprint(img))
				acked = quorumtest.Commit(t, s, records...)
			}
			if err := s.Close(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		for n, c := range crashes {
			s, err := quorum.Open(quorum.Options{FS: c.fs, Dir: dir})
			if err != nil {
				t.Fatalf("seed %d, crash %d of %d with %d acknowledged: %v", seed, n, len(crashes), c.acked, err)
			}
			img, rev := quorumtest.Image(t, s)
			if rev < c.acked || fingerprint(img) != prints[rev] {
				t.Fatalf("seed %d, crash %d: revision %d with %d acknowledged, or another image", seed, n, rev, c.acked)
			}
			if quorumtest.Commit(t, s, quorumtest.Set("after", "1")) != rev+1 || s.Close() != nil {
				t.Fatalf("seed %d, crash %d: the store does not go on", seed, n)
			}
			if s = open(t, c.fs, quorum.Options{}); s.Cut() != 0 {
				t.Fatalf("seed %d, crash %d: %d bytes cut after a clean stop", seed, n, s.Cut())
			}
			if _, again := quorumtest.Image(t, s); again != rev+1 {
				t.Fatalf("seed %d, crash %d: revision %d, want %d", seed, n, again, rev+1)
			}
		}
		t.Logf("seed %d: %d crashes", seed, len(crashes))
	}
}

// Commits that wait at the same time share an fsync, and each of them survives.
func TestWaitingCommitsShareOneSync(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, mem, quorum.Options{})
	quorumtest.Commit(t, s, quorumtest.Set("first", "1"))

	// The first commit is held in its sync until nine others have been queued behind it.
	inSync, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	mem.OnSync(func(string) { once.Do(func() { close(inSync); <-goOn }) })
	before := mem.Counts().Syncs
	var wg sync.WaitGroup
	commit := func(i int) {
		wg.Go(func() { quorumtest.Commit(t, s, quorumtest.Set(fmt.Sprint("k", i), "1")) })
	}
	commit(0)
	<-inSync
	for i := range 9 {
		commit(i + 1)
	}
	for s.Waiting() < 9 {
		runtime.Gosched()
	}
	close(goOn)
	wg.Wait()
	if syncs := mem.Counts().Syncs - before; syncs != 2 {
		t.Fatalf("10 commits took %d syncs, want 2", syncs)
	}
	again := open(t, mem.Crash(nil, vfs.LoseUnsynced), quorum.Options{})
	if _, rev := quorumtest.Image(t, again); rev != 11 {
		t.Fatalf("revision %d after a crash, want 11", rev)
	}
}

// The first commit of a new store costs one fsync of the file and one of its directory; a later one costs one fsync.
func TestCommitsCostFewSyncs(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, mem, quorum.Options{})
	start := mem.Counts()
	quorumtest.Commit(t, s, quorumtest.Set("a", "1"))
	if c := mem.Counts(); c.Syncs-start.Syncs != 1 || c.SyncDirs-start.SyncDirs != 1 {
		t.Fatalf("the first commit took %d syncs of files and %d of directories", c.Syncs-start.Syncs, c.SyncDirs-start.SyncDirs)
	}
	start = mem.Counts()
	quorumtest.Commit(t, s, quorumtest.Set("a", "2"))
	if c := mem.Counts(); c.Syncs-start.Syncs != 1 || c.SyncDirs != start.SyncDirs || c.Writes-start.Writes != 1 {
		t.Fatalf("a commit took %+v, before it %+v", c, start)
	}
}

// A commit fails when the disk does, whatever the operation; after an error that leaves the file's content unknown nothing is
// acknowledged any more, the leadership is given up, and a restart finds every commit that was acknowledged.
func TestDiskErrorsAreNeverAcknowledged(t *testing.T) {
	for _, op := range []string{"open", "create", "write", "sync", "rename", "syncdir"} {
		for nth := range 12 {
			t.Run(fmt.Sprint(op, nth), func(t *testing.T) {
				mem := vfs.NewMem()
				s := open(t, mem, quorum.Options{CompactBytes: 100})
				var left []quorum.Leadership
				s.Watch(func(l quorum.Leadership) { left = append(left, l) })
				broken := errors.New("input/output error")
				count := 0
				mem.Fail(func(o, _ string) error {
					if o == op {
						if count++; count > nth {
							return broken
						}
					}
					return nil
				})
				var acked quorum.Revision
				var failed error
				for i := range 12 {
					rev, err := s.Commit(t.Context(), 1, nil, []metadata.Record{quorumtest.Set("a", strings.Repeat(strconv.Itoa(i), 50))})
					if err == nil {
						if failed != nil && errors.Is(failed, quorum.ErrFailed) {
							t.Fatalf("acknowledged after %v", failed)
						}
						acked = rev
						continue
					}
					if !errors.Is(err, broken) {
						t.Fatal(err)
					}
					failed = err
				}
				if errors.Is(failed, quorum.ErrFailed) && (s.Leadership().Here || len(left) != 2 || left[1].Here) {
					t.Fatalf("leads on after %v; told %v", failed, left)
				}
				mem.Fail(nil)
				_ = s.Close()
				for _, mode := range []vfs.CrashMode{vfs.LoseUnsynced, vfs.KeepAll} {
					again := open(t, mem.Crash(nil, mode), quorum.Options{})
					if _, rev := quorumtest.Image(t, again); rev < acked {
						t.Fatalf("revision %d after a restart, %d was acknowledged", rev, acked)
					}
				}
			})
		}
	}
}

// A stop that was not clean may leave things that only the page cache has: a frame whose fsync failed, a new file whose rename was not
// synced. The next start builds on them, so when the power goes after its first commit nothing it knew may be missing.
func TestWhatAStartBuildsOnSurvivesTheNextCrash(t *testing.T) {
	for _, op := range []string{"sync", "syncdir", "rename"} {
		for nth := range 6 {
			mem := vfs.NewMem()
			s := open(t, mem, quorum.Options{CompactBytes: 200})
			broken := errors.New("input/output error")
			count := 0
			mem.Fail(func(o, _ string) error {
				if o == op {
					if count++; count > nth {
						return broken
					}
				}
				return nil
			})
			for i := range 10 {
				_, _ = s.Commit(t.Context(), 1, nil, []metadata.Record{quorumtest.Set("a", strings.Repeat(strconv.Itoa(i), 50))})
			}
			mem.Fail(nil)
			_ = s.Close()
			s = open(t, mem, quorum.Options{})
			before, _ := quorumtest.Image(t, s)
			known := fingerprint(before)
			rev := quorumtest.Commit(t, s, quorumtest.Set("b", "1"))
			again := open(t, mem.Crash(nil, vfs.LoseUnsynced), quorum.Options{})
			after, at := quorumtest.Image(t, again)
			if at != rev {
				t.Fatalf("%s %d: revision %d after the crash, %d was acknowledged", op, nth, at, rev)
			}
			delete(after.Configs[metadata.Resource{Type: metadata.ResourceBroker}], "b")
			after.Offset--
			if fingerprint(after) != known {
				t.Fatalf("%s %d: the second start knows less than the first", op, nth)
			}
		}
	}
}

// A node that was killed starts with a full disk, too: somebody must be able to delete topics.
func TestStoreOpensWithoutRoom(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, mem, quorum.Options{})
	rev := quorumtest.Commit(t, s, quorumtest.Set("a", "1"))
	full := mem.Crash(nil, vfs.KeepAll)
	full.SetCapacity(1)
	if _, got := quorumtest.Image(t, open(t, full, quorum.Options{})); got != rev {
		t.Fatalf("revision %d, want %d", got, rev)
	}
}

// A full disk refuses commits, and they succeed again by themselves once there is room.
func TestCommitsResumeWhenThereIsRoomAgain(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, mem, quorum.Options{})
	first := quorumtest.Commit(t, s, quorumtest.Set("a", "1"))
	mem.SetCapacity(3 * vfs.BlockSize)
	big := []metadata.Record{quorumtest.Set("a", strings.Repeat("x", 5*vfs.BlockSize))}
	for range 2 {
		if _, err := s.Commit(t.Context(), 1, nil, big); !errors.Is(err, vfs.ErrNoSpace) || errors.Is(err, quorum.ErrFailed) {
			t.Fatal(err)
		}
	}
	if rev := quorumtest.Commit(t, s, quorumtest.Set("a", "small")); rev != first+1 {
		t.Fatalf("revision %d, want %d", rev, first+1)
	}
	mem.SetCapacity(0)
	rev, err := s.Commit(t.Context(), 1, nil, big)
	if err != nil {
		t.Fatal(err)
	}
	again := open(t, mem.Crash(nil, vfs.LoseUnsynced), quorum.Options{})
	if _, got := quorumtest.Image(t, again); got != rev {
		t.Fatalf("revision %d after a crash, want %d", got, rev)
	}
}

// The log stays small however often a thing changes.
func TestLogIsCompacted(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, mem, quorum.Options{CompactBytes: 10_000})
	for i := range 3_000 {
		quorumtest.Commit(t, s, quorumtest.Set("a", strconv.Itoa(i)))
	}
	if info, err := mem.Stat(filepath.Join(dir, "metadata.log")); err != nil || info.Size > 11_000 {
		t.Fatalf("%d bytes for one setting (%v)", info.Size, err)
	}
	if err := s.Follow(t.Context(), 0, nil); !errors.Is(err, quorum.ErrTooFarBehind) {
		t.Fatalf("follow from the beginning: %v", err)
	}
}

func TestOversizeCommitIsRefused(t *testing.T) {
	s := open(t, nil, quorum.Options{})
	if _, err := s.Commit(t.Context(), 1, nil, []metadata.Record{quorumtest.Set("a", strings.Repeat("x", quorum.MaxBatchBytes))}); !errors.Is(err, quorum.ErrTooLarge) {
		t.Fatal(err)
	}
}

func BenchmarkOpenAndFirstCommit(b *testing.B) {
	base := b.TempDir()
	i := 0
	for b.Loop() {
		i++
		s, err := quorum.Open(quorum.Options{FS: vfs.OS(), Dir: filepath.Join(base, strconv.Itoa(i)), Node: 1})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Commit(b.Context(), 1, nil, []metadata.Record{quorumtest.Set("a", "1")}); err != nil {
			b.Fatal(err)
		}
		_ = s.Close()
	}
}

func BenchmarkCommit(b *testing.B) {
	s, err := quorum.Open(quorum.Options{FS: vfs.OS(), Dir: b.TempDir(), Node: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	records := []metadata.Record{quorumtest.Set("a", "1")}
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Commit(b.Context(), 1, nil, records); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
