package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// segment is a log file of one batch for each codec, as a client wrote them and a broker stored them.
func segment(t *testing.T, s *shell) []byte {
	t.Helper()
	s.must("topic create t")
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		s.must("produce t -q -k key -H h=1 -m " + strings.Repeat("x", 200) + " -z " + codec)
	}
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes, req.SessionEpoch = 12, 1<<20, -1
	part := kmsg.NewFetchRequestTopicPartition()
	part.PartitionMaxBytes = 1 << 20
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.Partitions = "t", append(topic.Partitions, part)
	topic.TopicID = s.cluster.TopicInfo("t").TopicID
	req.Topics = append(req.Topics, topic)
	cl := s.client(kgo.RequestRetries(0))
	resp, err := req.RequestWith(t.Context(), cl.Broker(0))
	if err != nil {
		t.Fatal(err)
	}
	return resp.Topics[0].Partitions[0].RecordBatches
}

func TestDumpLogPrintsWhatKafkaDumpLogPrints(t *testing.T) {
	s := newShell(t)
	raw := segment(t, s)
	name := filepath.Join(t.TempDir(), "00000000000000000000.log")
	write(t, name, append(raw, make([]byte, 4096)...))
	out := s.must("dump-log --records " + name)
	for i, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		for _, want := range []string{
			fmt.Sprintf(`(?m)^baseOffset: %d lastOffset: %d count: 1 baseSequence: \d+ lastSequence: \d+ producerId: \d+ producerEpoch: 0 `+
				`partitionLeaderEpoch: \d+ isTransactional: false isControl: false deleteHorizonMs: OptionalLong.empty position: \d+ `+
				`CreateTime: \d+ size: \d+ magic: 2 compresscodec: %s crc: \d+ isvalid: true$`, i, i, codec),
			fmt.Sprintf(`(?m)^\| offset: %d CreateTime: \d+ keySize: 3 valueSize: 200 sequence: \d+ headerKeys: \[h\] key: key payload: x{200}$`, i),
		} {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("no line %s in\n%s", want, out)
			}
		}
	}
	if !strings.Contains(out, fmt.Sprintf("position %d: zeros up to the end, 4096 bytes", len(raw))) {
		t.Errorf("the reserved room is not told in\n%s", out)
	}
	if js := s.must("dump-log -o json --records " + name); strings.Count(js, `"isvalid":true,"records":[{"offset":`) != 5 {
		t.Errorf("JSON:\n%s", js)
	}
}

// Damage must be named by its position, after everything before it was printed.
func TestDumpLogStopsAtTheFirstInvalidBatch(t *testing.T) {
	s := newShell(t)
	raw := segment(t, s)
	second := int(binary.BigEndian.Uint32(raw[8:])) + 12
	flipped := bytes.Clone(raw)
	flipped[second+70] ^= 1
	badLength := bytes.Clone(raw)
	binary.BigEndian.PutUint32(badLength[second+8:], 1<<31-1)
	oldMagic := bytes.Clone(raw)
	oldMagic[second+16] = 1
	for want, content := range map[string][]byte{
		"position %d: the batch at offset 1 is damaged":             flipped,
		"position %d: the batch at offset 1 is cut off":             badLength,
		"position %d: no batch of format 2 (magic is 1)":            oldMagic,
		"position %d: the file ends within the header":              raw[:second+10],
		"position %d: 61 bytes of zeros where a batch should begin": append(append(bytes.Clone(raw[:second]), make([]byte, 61)...), 1),
		"position %d: the batch at offset 1 is cut off: 100 of ":    raw[:second+100],
	} {
		want = fmt.Sprintf(want, second)
		name := filepath.Join(t.TempDir(), "00000000000000000000.log")
		write(t, name, content)
		out, errs, code := s.try(nil, "dump-log "+name)
		if code != 1 || !strings.Contains(errs, want) || !strings.Contains(out, "baseOffset: 0 ") {
			t.Errorf("want %q, exit code 1; got %d\n%s%s", want, code, out, errs)
		}
	}
}

func TestDumpLogReadsIndexes(t *testing.T) {
	s := newShell(t)
	dir := t.TempDir()
	var index, times []byte
	for _, e := range [][2]uint32{{0, 0}, {7, 100}, {9, 300}, {0, 0}, {0, 0}} {
		index = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(index, e[0]), e[1])
	}
	for _, e := range [][2]uint64{{1000, 3}, {2000, 8}} {
		times = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(times, e[0]), uint32(e[1]))
	}
	base := filepath.Join(dir, "00000000000000000100")
	write(t, base+".index", index)
	write(t, base+".timeindex", times)
	if got := s.must("dump-log " + base + ".index"); !strings.HasSuffix(got, ".index\noffset: 100 position: 0\noffset: 107 position: 100\noffset: 109 position: 300\n") {
		t.Errorf("index:\n%s", got)
	}
	if got := s.must("dump-log -o json " + base + ".timeindex"); got != "{\"timestamp\":1000,\"offset\":103}\n{\"timestamp\":2000,\"offset\":108}\n" {
		t.Errorf("time index:\n%s", got)
	}
	write(t, base+".index", index[8:21])
	if _, errs, code := s.try(nil, "dump-log "+base+".index"); code != 1 || !strings.Contains(errs, "entry 1 is cut off: 5 of 8 bytes") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if _, errs, code := s.try(nil, "dump-log "+filepath.Join(dir, "x.snapshot")); code != 2 || !strings.Contains(errs, ".timeindex") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// Any bytes in any of the files: no panic, and an end.
func FuzzDumpLog(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add(make([]byte, 200), false)
	f.Add(bytes.Repeat([]byte{0, 0, 0, 1}, 40), true)
	f.Fuzz(func(t *testing.T, content []byte, records bool) {
		d := dumper{out: bufio.NewWriter(io.Discard), records: records}
		_ = d.dumpBatches(bufio.NewReader(bytes.NewReader(content)), int64(len(content))) // errors are fine here
		_ = d.dumpOffsetIndex(bytes.NewReader(content), 5)
		_ = d.dumpTimeIndex(bytes.NewReader(content), 5)
	})
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
