package clients

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/internal/seed"
)

// fileLimit bounds one way of the file; it takes a few seconds on a quick machine.
const fileLimit = 10 * time.Minute

// A large file of lines goes through the broker in every compression: kcat produces it and franz-go reads it, and the other way round.
// What comes out must be the file, byte for byte: nothing lost, doubled, out of order or changed.
func TestLargeFileGoesThroughInEveryCodec(t *testing.T) {
	need(t, "kcat")
	mb := 300
	if n, err := strconv.Atoi(os.Getenv("RAFKA_CLIENTS_MB")); err == nil {
		mb = n
	}
	seed := seed.Of(t)
	path := filepath.Join(t.TempDir(), "lines")
	lines, want := writeLines(t, path, seed, int64(mb)<<20)
	t.Logf("seed %d: %d lines, %d MiB, sha256 %s", seed, lines, mb, want)
	srv := serve(t)
	for _, z := range codecs {
		for _, way := range []struct {
			name    string
			produce func(t *testing.T, addr, topic, path string, codec int)
			consume func(t *testing.T, addr, topic string, lines int, into hash.Hash)
		}{
			{"from kcat to franz-go", produceKcat, consumeFranz},
			{"from franz-go to kcat", produceFranz, consumeKcat},
		} {
			t.Run(z.name+" "+way.name, func(t *testing.T) {
				topic := fmt.Sprintf("file-%s-%d", z.name, time.Now().UnixNano())
				began := time.Now()
				way.produce(t, srv.Kafka, topic, path, int(z.code))
				produced := time.Since(began)
				sum := sha256.New()
				way.consume(t, srv.Kafka, topic, lines, sum)
				t.Logf("produced in %v, consumed in %v", produced, time.Since(began)-produced)
				if got := hex.EncodeToString(sum.Sum(nil)); got != want {
					t.Errorf("sha256 %s came back", got)
				}
				remove(t, srv.Kafka, topic)
			})
		}
	}
}

// writeLines writes a file of about size bytes, lines of words between one byte and some KiB, and returns how many lines and their hash.
func writeLines(t *testing.T, path string, seed uint64, size int64) (lines int, sum string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(f, h), 1<<20)
	rng := rand.New(rand.NewPCG(seed, 1))
	words := make([][]byte, 4096)
	for i := range words {
		words[i] = fmt.Appendf(nil, "%x ", rng.Uint64()>>(rng.Uint32()%60))
	}
	for written := int64(0); written < size; lines++ {
		n := 1 + rng.IntN(40)
		if rng.IntN(200) == 0 {
			n = 1 + rng.IntN(2000)
		}
		for range n {
			word := words[rng.IntN(len(words))]
			if _, err := w.Write(word); err != nil {
				t.Fatal(err)
			}
			written += int64(len(word))
		}
		_ = w.WriteByte('\n')
		written++
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return lines, hex.EncodeToString(h.Sum(nil))
}

func produceKcat(t *testing.T, addr, topic, path string, codec int) {
	t.Helper()
	out, ok := run(t, fileLimit, "", "kcat", "-b", addr, "-P", "-t", topic, "-p", "0", "-z", codecs[codec].name, "-X", "queue.buffering.max.kbytes=65536", "-l", path)
	if !ok {
		t.Fatalf("kcat: %s", tail(out))
	}
}

func consumeKcat(t *testing.T, addr, topic string, lines int, into hash.Hash) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fileLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kcat", "-b", addr, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-q", "-c", strconv.Itoa(lines))
	cmd.Stdout = into
	if err := cmd.Run(); err != nil {
		t.Fatalf("kcat: %v", err)
	}
}

func produceFranz(t *testing.T, addr, topic, path string, codec int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(addr, ",")...), kgo.DefaultProduceTopic(topic), kgo.AllowAutoTopicCreation(),
		kgo.ProducerBatchCompression(codecs[codec].kgo), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), fileLimit)
	defer cancel()
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for lines.Scan() {
		cl.Produce(ctx, &kgo.Record{Value: append([]byte(nil), lines.Bytes()...)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if err := cl.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func consumeFranz(t *testing.T, addr, topic string, lines int, into hash.Hash) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(addr, ",")...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), fileLimit)
	defer cancel()
	for got := 0; got < lines; {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatalf("after %d of %d lines: %v", got, lines, err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			_, _ = into.Write(r.Value)
			_, _ = into.Write([]byte{'\n'})
			got++
		})
	}
}

// remove deletes a topic, so that the disk need not hold all of them.
func remove(t *testing.T, addr, topic string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(addr, ",")...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).DeleteTopic(t.Context(), topic); err != nil {
		t.Errorf("delete %s: %v", topic, err)
	}
}
