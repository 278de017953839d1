package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/digest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/seglog"
	"github.com/rafka-io/rafka/internal/vfs"
)

// onDisk is a manager over files in memory, which fail and rot as told.
type onDisk struct {
	*Manager
	t      *testing.T
	fs     *vfs.Mem
	engine *seglog.Engine
	img    *metadata.Image
	logged lockedBuffer
}

func newOnDisk(t *testing.T, dirs []string, set func(o *Options)) *onDisk {
	t.Helper()
	d := &onDisk{t: t, fs: vfs.NewMem(), img: metadata.Empty()}
	logger := slog.New(slog.NewTextHandler(&d.logged, nil))
	engine, err := seglog.Open(d.fs, dirs, seglog.Options{Logger: logger, HotBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{NodeID: 1, Engine: engine, Logger: logger, Settings: func(*metadata.Image, string) *partition.Settings {
		return &partition.Settings{MinISR: 1, Delete: true, RetentionTime: -1, RetentionBytes: -1, ProducerExpiry: time.Hour, Log: storage.Config{SegmentBytes: 4000}}
	}}
	set(&o)
	if d.Manager, err = New(o); err != nil {
		t.Fatal(err)
	}
	d.engine = engine
	d.Start()
	t.Cleanup(func() {
		d.Close(context.Background())
		d.fs.Fail(nil)
		engine.Close()
	})
	return d
}

func (d *onDisk) fold(records ...metadata.Record) {
	d.t.Helper()
	img, delta, err := metadata.Fold(d.img, records)
	if err != nil {
		d.t.Fatal(err)
	}
	d.img = img
	d.Apply(img, delta)
}

func (d *onDisk) part(i int32) *partition.Partition {
	d.t.Helper()
	t, err := d.ByID(kafka.UUID{1})
	if err != nil {
		d.t.Fatal(err)
	}
	p, err := t.Partition(i)
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

// send appends one batch and makes it durable.
func send(p *partition.Partition, value string) error {
	b, err := record.Build(nil, record.PlainOptions(), []record.Record{{Value: []byte(value), Timestamp: 1}})
	if err != nil {
		return err
	}
	if _, err := p.AppendAsLeader(partition.Append{Records: b}, time.Now()); err != nil {
		return err
	}
	return p.SyncFollower(context.Background(), p.LogEnd())
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

// REP-3: a directory that fails takes its partitions with it, those that nobody has used yet too, and no others; the controller is told which, again if it was
// not reached. When the last one has failed the broker is told that it is of no use.
func TestFailedDirectoriesAreToldToTheController(t *testing.T) {
	var mu sync.Mutex
	var told []string
	refused := false
	useless := make(chan error, 1)
	d := newOnDisk(t, []string{"one", "two"}, func(o *Options) {
		o.Failed = func(_ context.Context, list []storage.ID) error {
			mu.Lock()
			defer mu.Unlock()
			if !refused {
				refused = true
				return errors.New("nobody decides now")
			}
			for _, id := range list {
				told = append(told, id.String())
			}
			return nil
		}
		o.Useless = func(err error) { useless <- err }
	})
	d.fold(topic("t", 1, partitions(6, metadata.Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1})))
	in := map[string][]string{}
	for i := range int32(6) {
		p := d.part(i)
		if err := send(p, "v"); err != nil {
			t.Fatal(err)
		}
		dir := d.Directories()[d.DirectoryOf(p.ID())].Path
		in[dir] = append(in[dir], p.ID().String())
	}
	if len(in["one"]) != 3 || len(in["two"]) != 3 {
		t.Fatalf("partitions are in %v", in)
	}
	failing := func(dirs ...string) {
		d.fs.Fail(func(op, path string) error {
			if slices.Contains(dirs, strings.Split(path, string(filepath.Separator))[0]) && (op == "write" || op == "sync") {
				return errors.New("input/output error")
			}
			return nil
		})
	}
	sent := func(dir string) (first error) {
		for i := range int32(6) {
			if p := d.part(i); d.Directories()[d.DirectoryOf(p.ID())].Path == dir {
				if err := send(p, "v"); err != nil && first == nil {
					first = err
				}
			}
		}
		return first
	}
	failing("two")
	if err := sent("two"); kafka.CodeOf(err) != kafka.KafkaStorageError {
		t.Fatalf("a broken disk takes records: %v", err)
	}
	tells := func(want []string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			slices.Sort(told)
			return slices.Equal(told, want)
		}
	}
	eventually(t, "the controller knows of directory two", tells(in["two"]))
	if err := sent("one"); err != nil {
		t.Fatalf("the other directory: %v", err)
	}
	if dirs := d.Directories(); dirs[0].Failed != nil || dirs[1].Failed == nil || d.Counts().Offline != 3 {
		t.Fatalf("%+v, %d offline", dirs, d.Counts().Offline)
	}
	select {
	case err := <-useless:
		t.Fatalf("of no use with a directory left: %v", err)
	default:
	}
	failing("one", "two")
	_ = sent("one")
	if err := <-useless; err == nil || !strings.Contains(err.Error(), "no data directory is left") {
		t.Fatalf("%v", err)
	}
	all := slices.Concat(in["one"], in["two"])
	slices.Sort(all)
	eventually(t, "the controller knows of both", tells(all))
}

// PAR-9: the scrub finds damage that nobody reads, names it, and has it filled from the replica in sync that still has it. While there is none it keeps trying,
// and counts the partition.
func TestScrubHasDamageMended(t *testing.T) {
	var mu sync.Mutex
	var other *onDisk
	d := newOnDisk(t, []string{"data"}, func(o *Options) {
		o.ScrubRate, o.ScrubInterval = 1<<30, 20*time.Millisecond
		o.Call = func(ctx context.Context, to kafka.BrokerID, method string, body []byte) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			if to != 2 || other == nil {
				return nil, kafka.BrokerNotAvailable
			}
			return other.Methods()[method](ctx, body)
		}
	})
	replicated := metadata.Partition{Replicas: []kafka.BrokerID{1, 2}, ISR: []kafka.BrokerID{1, 2}, Leader: 1}
	d.fold(topic("t", 1, partitions(1, metadata.Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1})))
	p := d.part(0)
	two := newOnDisk(t, []string{"data"}, func(o *Options) { o.NodeID = 2 })
	two.fold(topic("t", 1, partitions(1, replicated)))
	for i := range 100 {
		if err := send(p, fmt.Sprint("value ", i, strings.Repeat(".", 100))); err != nil {
			t.Fatal(err)
		}
	}
	var all []byte
	for at := kafka.Offset(0); at < 100; {
		c, err := p.Copy(at, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := two.part(0).AppendAsFollower(0, c.Batches); err != nil {
			t.Fatal(err)
		}
		at, all = two.part(0).LogEnd(), append(all, c.Batches...)
	}
	file := filepath.Join("data", "t-0", fmt.Sprintf("%020d.log", 0))
	eventually(t, "the first segment is in its file", func() bool { i, err := d.fs.Stat(file); return err == nil && i.Size > 3000 })
	f, err := d.fs.Open(file, vfs.Write)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte("rot"), 1700)
	f.Close()
	eventually(t, "the damage is found", func() bool { c := d.Counts().Rot; return c.Found == 1 && c.Broken == 1 && c.Mended == 0 })
	if said := d.logged.String(); !strings.Contains(said, "records are damaged on this broker's disk") || !strings.Contains(said, "log=t-0") || !strings.Contains(said, file) {
		t.Errorf("said:\n%s", said)
	}
	mu.Lock()
	other = two
	mu.Unlock()
	d.fold(&metadata.PartitionChangeRecord{TopicID: kafka.UUID{1}, Partition: 0, State: metadata.Partition{Replicas: []kafka.BrokerID{1, 2}, ISR: []kafka.BrokerID{1, 2}, Leader: 1, PartitionEpoch: 1}})
	eventually(t, "the damage is mended", func() bool { c := d.Counts().Rot; return c.Broken == 0 && c.Mended == 1 && c.Passes > 1 })
	var now []byte
	for at := kafka.Offset(0); at < 100; {
		in, err := p.Inspect(at, 1<<20, func(_ *record.Header, batch []byte) error { now = append(now, batch...); return nil })
		if err != nil || len(in.Rot) > 0 {
			t.Fatalf("%+v, %v", in, err)
		}
		at = in.Next
	}
	if !bytes.Equal(now, all) {
		t.Error("the log is another one")
	}
	c := d.Compare(context.Background(), Comparison{Topic: kafka.UUID{1}, Leader: 1, Replicas: []kafka.BrokerID{1, 2}, ISR: []kafka.BrokerID{1, 2}})
	if len(c.Differences) > 0 || c.Next != c.End || len(c.Replicas) != 2 || c.Replicas[0].Missing != nil || c.Replicas[1].Missing != nil {
		t.Errorf("%+v", c)
	}
	if _, err := two.Methods()[digest.MethodDigest](context.Background(), []byte("x")); kafka.CodeOf(err) != kafka.InvalidRequest {
		t.Errorf("a question that nobody asks: %v", err)
	}
}
