package partition

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
)

// PAR-2: a follower or consumer that names an epoch is told the largest epoch up to it and where that ended.
func TestEpochEndAnswersLikeKafka(t *testing.T) {
	e := epochs{{1, 5}, {2, 10}, {5, 20}}
	for _, c := range []struct {
		asked kafka.LeaderEpoch
		want  EpochEnd
	}{
		{-1, unknownEnd}, {0, EpochEnd{0, 5}}, {1, EpochEnd{1, 10}}, {2, EpochEnd{2, 20}}, {3, EpochEnd{2, 20}}, {4, EpochEnd{2, 20}},
		{5, EpochEnd{5, 33}}, {6, unknownEnd},
	} {
		if got := e.end(c.asked, 33); got != c.want {
			t.Errorf("end of %d = %v, want %v", c.asked, got, c.want)
		}
	}
	if got := (epochs)(nil).end(0, 0); got != unknownEnd {
		t.Errorf("end in no epochs = %v", got)
	}
}

func TestEpochsFollowTheLog(t *testing.T) {
	e := epochs(nil).assign(3, 0).assign(3, 7).assign(4, 10).assign(6, 10)
	if want := (epochs{{3, 0}, {6, 10}}); !reflect.DeepEqual(e, want) {
		t.Fatalf("an epoch without records stayed: %v", e)
	}
	e = e.assign(7, 20)
	for _, c := range []struct {
		got, want epochs
	}{
		{e.trim(0), e}, {e.trim(12), epochs{{6, 10}, {7, 20}}}, {e.trim(20), epochs{{6, 10}, {7, 20}}}, {e.trim(21), epochs{{7, 20}}}, {e.trim(99), epochs{{7, 20}}}, {epochs(nil).trim(5), nil},
		{e.truncate(20), epochs{{3, 0}, {6, 10}}}, {e.truncate(0), epochs{}}, {e.truncate(21), e},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	for offset, want := range map[kafka.Offset]kafka.LeaderEpoch{0: 3, 9: 3, 10: 6, 19: 6, 20: 7, 99: 7} {
		if got := e.at(offset); got != want {
			t.Errorf("epoch at %d = %d, want %d", offset, got, want)
		}
	}
	if want := (epochs{{3, 0}, {6, 10}, {7, 20}}); !reflect.DeepEqual(e, want) {
		t.Errorf("a value changed: %v", e)
	}
}

func FuzzDecodeEpochs(f *testing.F) {
	f.Add([]byte{})
	f.Add(epochs{}.encode())
	f.Add(epochs{{1, 5}, {2, 10}}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := decodeEpochs(b); err == nil && !bytes.Equal(e.encode(), b) {
			t.Errorf("%x decodes to %v, which encodes to %x", b, e, e.encode())
		}
	})
}
