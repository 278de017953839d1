package receiver

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// batch is records at these offsets, which rise.
func batch(t testing.TB, offsets ...int64) []byte {
	t.Helper()
	recs := make([]record.Record, len(offsets))
	for i, o := range offsets {
		recs[i] = record.Record{Offset: kafka.Offset(o), Value: fmt.Append(nil, o)}
	}
	o := record.PlainOptions()
	o.BaseOffset = kafka.Offset(offsets[0])
	b, err := record.Build(nil, o, recs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func acquired(ranges ...span) []kmsg.ShareFetchResponseTopicPartitionAcquiredRecord {
	var list []kmsg.ShareFetchResponseTopicPartitionAcquiredRecord
	for i, r := range ranges {
		list = append(list, kmsg.ShareFetchResponseTopicPartitionAcquiredRecord{FirstOffset: r.first, LastOffset: r.last, DeliveryCount: int16(i + 1)})
	}
	return list
}

// RCV-2
func TestWhatBecomesOfAcquiredOffsets(t *testing.T) {
	whole := slices.Concat(batch(t, 5, 6, 8), batch(t, 10, 11))
	broken := slices.Concat(batch(t, 5, 6, 8), batch(t, 10, 11))
	broken[len(broken)-1]++
	for _, c := range []struct {
		name         string
		data         []byte
		acquired     []span
		want         string // offset and delivery of each message
		gaps, unread []span
		fails        bool
	}{
		{"everything", whole, []span{{5, 11}}, "5x1 6x1 8x1 10x1 11x1 ", []span{{7, 7}, {9, 9}}, nil, false},
		{"parts of batches", whole, []span{{6, 7}, {11, 11}}, "6x1 11x2 ", []span{{7, 7}}, nil, false},
		{"ranges in disorder", whole, []span{{11, 11}, {5, 5}}, "5x2 11x1 ", nil, nil, false},
		{"more than the data has", whole, []span{{11, 14}}, "11x1 ", nil, []span{{12, 14}}, false},
		{"a batch that is cut off", whole[:len(whole)-3], []span{{5, 11}}, "5x1 6x1 8x1 ", []span{{7, 7}}, []span{{9, 11}}, false},
		{"a batch that is broken", broken, []span{{5, 11}}, "5x1 6x1 8x1 ", []span{{7, 7}}, []span{{9, 11}}, true},
		{"nothing", nil, []span{{0, 1}}, "", nil, []span{{0, 1}}, false},
	} {
		p := kmsg.NewShareFetchResponseTopicPartition()
		p.Records, p.AcquiredRecords = c.data, acquired(c.acquired...)
		messages, gaps, unread, err := decode("t", &p)
		got := ""
		for _, m := range messages {
			got += fmt.Sprintf("%dx%d ", m.Offset, m.Deliveries)
		}
		if got != c.want || !slices.Equal(gaps, c.gaps) || !slices.Equal(unread, c.unread) || (err != nil) != c.fails {
			t.Errorf("%s: messages %s, gaps %v, unread %v, %v", c.name, got, gaps, unread, err)
		}
	}
}

// RCV-2: whatever a broker sends, each offset that it calls acquired is a message, a gap or unread, and nothing else is.
func FuzzAcquired(f *testing.F) {
	f.Add(slices.Concat(batch(f, 5, 6, 8), batch(f, 10, 11)), uint8(5), uint8(3), uint8(0), uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, first, length, distance, length2 uint8) {
		a := span{int64(first), int64(first) + int64(length)}
		b := span{a.last + 1 + int64(distance), a.last + 1 + int64(distance) + int64(length2)}
		p := kmsg.NewShareFetchResponseTopicPartition()
		p.Records, p.AcquiredRecords = data, acquired(a, b)
		messages, gaps, unread, _ := decode("t", &p)
		times := make(map[int64]int)
		for _, m := range messages {
			times[m.Offset]++
		}
		for _, s := range slices.Concat(gaps, unread) {
			for o := s.first; o <= s.last; o++ {
				times[o]++
			}
		}
		for o := a.first; o <= b.last; o++ {
			if in := o <= a.last || o >= b.first; in != (times[o] == 1) {
				t.Fatalf("offset %d is there %d times", o, times[o])
			}
			delete(times, o)
		}
		if len(times) > 0 {
			t.Fatalf("more than was acquired: %v", times)
		}
	})
}
