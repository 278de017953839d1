package abuse

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ext4 is a file system of that size in a file, mounted for the test; skipped where mounting is refused.
func ext4(t *testing.T, mib int) string {
	t.Helper()
	if testing.Short() {
		t.Skip("mounts file systems")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, int64(mib)<<20); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"mkfs.ext4", "-q", "-F", "-m", "0", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%s is refused here: %v %s", args[0], err, out)
		}
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}

// tmpfs is a file system of that size in memory. It knows no direct I/O on older kernels.
func tmpfs(t *testing.T, mib int) string {
	t.Helper()
	if testing.Short() {
		t.Skip("mounts file systems")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", mib), "rafka-test", dir).CombinedOutput(); err != nil {
		t.Skipf("mount is refused here: %v %s", err, out)
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}

func unmount(t *testing.T, dir string) {
	var err error
	for range 50 {
		if err = exec.Command("umount", dir).Run(); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond) // until the last file of a killed process is closed
	}
	t.Errorf("umount %s: %v", dir, err)
}

// On a full disk a produce is refused with KAFKA_STORAGE_ERROR and a message, while fetching, deleting records and topics, and retention
// work; what was acknowledged stays, also over kill -9; and as soon as there is room again, produce works by itself.
func TestFullDisk(t *testing.T) {
	if !long {
		t.Skip("RAFKA_LONG=1 runs it: it takes half a minute")
	}
	for name, mount := range map[string]func(*testing.T, int) string{"ext4": ext4, "tmpfs": tmpfs} {
		t.Run(name, func(t *testing.T) {
			for _, io := range []string{"direct", "buffered"} {
				t.Run(io, func(t *testing.T) { fullDisk(t, mount(t, 160), io) })
			}
		})
	}
}

func fullDisk(t *testing.T, dir, io string) {
	data := filepath.Join(dir, "data")
	w := startIn(t, data, "--set", "rafka.log.io="+io, "--set", "log.retention.check.interval.ms=200", "--set", "rafka.log.journal.bytes=8388608")
	for _, topic := range []string{"fill", "kept", "trimmed", "aging"} {
		w.create(topic, 1, "segment.bytes", "1048576", "file.delete.delay.ms", "0")
	}
	acked := map[string]int64{}
	small := batchOf(t, 1, 100)
	large := batchOf(t, 1, 700_000)
	put := func(topic string, batch []byte) kmsg.ProduceResponseTopicPartition {
		p := w.put(topic, 0, batch)
		if p.ErrorCode == 0 {
			acked[topic] = p.BaseOffset + 1
		}
		return p
	}
	for range 10 {
		for _, topic := range []string{"kept", "trimmed", "aging"} {
			if p := put(topic, large); p.ErrorCode != 0 {
				t.Fatal(codeOf(p))
			}
		}
	}
	fill := func() {
		t.Helper()
		// The disk may fill up faster than the server looks: then what was appended waits for room, and its ack does not come in time.
		const timedOut, storageError = 7, 56
		for n := 0; ; n++ {
			q := produceOf("fill", 0, large)
			q.TimeoutMillis = 500
			switch p := request[*kmsg.ProduceResponse](w, q).Topics[0].Partitions[0]; {
			case p.ErrorCode == 0:
				acked["fill"] = p.BaseOffset + 1
			case p.ErrorCode == storageError && p.ErrorMessage != nil && strings.Contains(*p.ErrorMessage, "room"):
				return
			case p.ErrorCode != timedOut || n > 500:
				t.Fatalf("produce to a full disk, attempt %d: %s", n, codeOf(p))
			}
		}
	}
	resumes := func(what string) {
		t.Helper()
		t0 := time.Now()
		w.within(time.Minute, "produce works again after "+what, func() error {
			if p := put("kept", small); p.ErrorCode != 0 {
				return fmt.Errorf("%s", codeOf(p))
			}
			return nil
		})
		t.Logf("produce works %v after %s", time.Since(t0).Round(time.Millisecond), what)
	}
	readable := func() {
		t.Helper()
		for _, topic := range []string{"kept", "fill", "trimmed", "aging"} {
			if n, ok := acked[topic]; ok {
				w.readUpTo(topic, n)
			}
		}
		w.findAll()
	}
	adm := kadm.NewClient(w.client)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()

	// Records are deleted.
	fill()
	readable()
	if r, err := adm.DeleteRecords(ctx, kadm.Offsets{"fill": {0: {Topic: "fill", At: acked["fill"] - 5, LeaderEpoch: -1}}}); err != nil || r.Error() != nil {
		t.Fatalf("delete records on a full disk: %v %v\n%s", err, r.Error(), tail(w.Log()))
	}
	resumes("records were deleted")

	// Retention goes on: a filler that somebody else wrote fills nearly all the rest, and goes again.
	filler := filepath.Join(dir, "filler")
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("fallocate", "-l", fmt.Sprint(int64(disk.Bavail)*disk.Bsize-1<<20), filler).CombinedOutput(); err != nil {
		t.Fatalf("make a filler: %v %s", err, out)
	}
	w.within(time.Minute, "appends are refused beside a filler", func() error {
		if p := put("kept", small); p.ErrorCode != 56 {
			return fmt.Errorf("answered %s", codeOf(p))
		}
		return nil
	})
	readable()
	one := "1"
	if r, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.bytes", Value: &one}}, "aging"); err != nil || r[0].Err != nil {
		t.Errorf("alter a topic on a full disk: %v %v", err, r)
	}
	delete(acked, "aging")
	w.within(time.Minute, "retention removes what is too much on a full disk", func() error {
		starts, err := adm.ListStartOffsets(ctx, "aging")
		if o, _ := starts.Lookup("aging", 0); err != nil || o.Offset == 0 {
			return fmt.Errorf("the log starts at %d: %v", o.Offset, err)
		}
		return nil
	})
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	resumes("the filler was removed")

	// kill -9 while full, and while producers press.
	var press sync.WaitGroup
	stop := make(chan struct{})
	fill()
	for range 4 {
		press.Go(func() {
			q := produceOf("kept", 0, small)
			for {
				select {
				case <-stop:
					return
				default:
				}
				nc, err := dialTimeout(w.Kafka)
				if err != nil {
					return
				}
				_, _ = ask(nc, q)
				_ = nc.Close()
			}
		})
	}
	time.Sleep(300 * time.Millisecond) // under pressure for a while
	w.Kill()
	close(stop)
	press.Wait()
	w.restart()
	readable()
	if r, err := adm.DeleteTopic(ctx, "fill"); err != nil || r.Err != nil {
		t.Fatalf("delete a topic on a full disk: %v %v", err, r.Err)
	}
	delete(acked, "fill")
	resumes("a topic was deleted")
	if took, code := w.Stop(t); code != 0 {
		t.Errorf("exit code %d after %v:\n%s", code, took, tail(w.Log()))
	}
	w.restart()
	readable()
	w.behaveWell()
	w.findAll()
}

// readUpTo consumes topic's partition 0 from its start until the record before offset end.
func (w *world) readUpTo(topic string, end int64) {
	w.t.Helper()
	cl := w.newClient(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}), kgo.FetchMaxWait(50*time.Millisecond))
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for last := int64(-1); last < end-1; {
		fs := cl.PollFetches(ctx)
		if err := fs.Err0(); err != nil {
			w.t.Fatalf("%s is readable up to %d, acknowledged was up to %d: %v\n%s", topic, last, end-1, err, tail(w.Log()))
		}
		fs.EachRecord(func(r *kgo.Record) {
			if last >= 0 && r.Offset != last+1 {
				w.t.Errorf("%s: offset %d follows %d", topic, r.Offset, last)
			}
			last = r.Offset
		})
	}
}
