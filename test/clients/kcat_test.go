package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// codecs by their names in kcat, with their numbers in a batch.
var codecs = []struct {
	name string
	code uint8
	kgo  kgo.CompressionCodec
}{
	{"none", 0, kgo.NoCompression()},
	{"gzip", 1, kgo.GzipCompression()},
	{"snappy", 2, kgo.SnappyCompression()},
	{"lz4", 3, kgo.Lz4Compression()},
	{"zstd", 4, kgo.ZstdCompression()},
}

// kcat runs kcat against a broker and returns its output; its messages about what it does are only in the failure.
func kcat(t *testing.T, addr, input string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kcat", append([]string{"-b", addr}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	var out, msgs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msgs
	if err := cmd.Run(); err != nil {
		t.Fatalf("kcat %s: %v\n%s", strings.Join(args, " "), err, tail(msgs.String()))
	}
	return out.String()
}

// stored counts the records of partition 0 of a topic by the compression of their batch.
func stored(t *testing.T, addr, topic string, n int) map[uint8]int {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(addr, ",")...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	found := map[uint8]int{}
	for got := 0; got < n; {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", got, n, err)
		}
		fs.EachRecord(func(r *kgo.Record) { found[r.Attrs.CompressionType()]++; got++ })
	}
	return found
}

func TestKcatListsTheCluster(t *testing.T) {
	need(t, "kcat")
	srv, _ := serveAlone(t)
	kcat(t, srv.Kafka, "x\n", "-P", "-t", "listed")
	var m struct {
		Brokers []struct {
			ID   int
			Name string
		}
		Topics []struct {
			Topic      string
			Partitions []struct{ Partition, Leader int }
		}
	}
	if err := json.Unmarshal([]byte(kcat(t, srv.Kafka, "", "-L", "-J")), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Brokers) != 1 || m.Brokers[0].Name != srv.Kafka || len(m.Topics) != 1 || m.Topics[0].Topic != "listed" || m.Topics[0].Partitions[0].Leader != m.Brokers[0].ID {
		t.Errorf("%+v", m)
	}
}

// A broker that librdkafka takes for one without compression gets its batches uncompressed, and everything else works: only the stored
// batches tell.
func TestKcatProducesInEveryCodec(t *testing.T) {
	need(t, "kcat")
	srv := serve(t)
	for _, z := range codecs {
		lines := numbered(z.name, 1000)
		kcat(t, srv.Kafka, lines, "-P", "-t", z.name, "-p", "0", "-z", z.name, "-X", "linger.ms=100")
		if got := kcat(t, srv.Kafka, "", "-C", "-t", z.name, "-p", "0", "-e", "-q"); got != lines {
			t.Errorf("%s: %d bytes came back of %d", z.name, len(got), len(lines))
		}
		found := stored(t, srv.Kafka, z.name, 1000)
		if found[z.code] != 1000 {
			t.Errorf("%s: the records are stored with codecs %v", z.name, found)
		}
	}
}

func TestKcatKeepsKeysHeadersNullsAndTimes(t *testing.T) {
	need(t, "kcat")
	srv := serve(t)
	kcat(t, srv.Kafka, "k1:v1\nk2:\n", "-P", "-t", "parts", "-p", "0", "-K:", "-Z", "-H", "a=1", "-H", "b=2")
	before := time.Now().UnixMilli()
	out := kcat(t, srv.Kafka, "", "-C", "-t", "parts", "-p", "0", "-e", "-q", "-f", `%o|%k|%s|%S|%h|%T\n`)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i, want := range []string{"0|k1|v1|2|a=1,b=2|", "1|k2||-1|a=1,b=2|"} {
		var ms int64
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("got %q, want lines that begin %q", out, want)
		}
		if _, err := fmt.Sscan(strings.TrimPrefix(lines[i], want), &ms); err != nil || ms > before || ms < before-60_000 {
			t.Errorf("the timestamp of %q: %v", lines[i], err)
		}
	}
}

func TestKcatReadsFromWhereItIsTold(t *testing.T) {
	need(t, "kcat")
	srv := serve(t)
	kcat(t, srv.Kafka, numbered("v", 20), "-P", "-t", "places", "-p", "0")
	first := time.Now().UnixMilli()
	for time.Now().UnixMilli() <= first { // the next record is later than all before
	}
	later := time.Now().UnixMilli()
	kcat(t, srv.Kafka, "late\n", "-P", "-t", "places", "-p", "0")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"v-15\nv-16\n", []string{"-o", "15", "-c", "2"}},
		{"v-19\nlate\n", []string{"-o", "-2", "-e"}},
		{"v-0\n", []string{"-o", "beginning", "-c", "1"}},
		{"late\n", []string{"-o", fmt.Sprintf("s@%d", later), "-e"}},
		{"", []string{"-o", "end", "-e"}},
	} {
		if got := kcat(t, srv.Kafka, "", append([]string{"-C", "-t", "places", "-p", "0", "-q"}, c.args...)...); got != c.want {
			t.Errorf("%v: got %q, want %q", c.args, got, c.want)
		}
	}
	if got := kcat(t, srv.Kafka, "", "-Q", "-t", fmt.Sprintf("places:0:%d", later)); !strings.Contains(got, "offset 20") {
		t.Errorf("query by time: %q", got)
	}
}

func TestKcatProducesWithEveryAcksAndIdempotent(t *testing.T) {
	need(t, "kcat")
	srv := serve(t)
	for i, x := range []string{"acks=0", "acks=1", "acks=all", "enable.idempotence=true"} {
		topic := fmt.Sprint("acks", i)
		kcat(t, srv.Kafka, numbered("m", 100), "-P", "-t", topic, "-p", "0", "-X", x)
		if found := stored(t, srv.Kafka, topic, 100); found[0] != 100 {
			t.Errorf("%s: %v", x, found)
		}
	}
}

func TestKcatMovesALargeMessage(t *testing.T) {
	need(t, "kcat")
	srv := serve(t)
	large := strings.Repeat("0123456789", 90_000) + "\n"
	kcat(t, srv.Kafka, large, "-P", "-t", "large", "-p", "0")
	if got := kcat(t, srv.Kafka, "", "-C", "-t", "large", "-p", "0", "-e", "-q"); got != large {
		t.Errorf("%d bytes came back of %d", len(got), len(large))
	}
}
