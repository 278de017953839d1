package kafka

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/rafka-io/rafka/internal/seed"
)

// KAF-3: a sequence goes from 2^31-1 to 0. The oracle counts modulo 2^31.
func TestSequenceWrapsToZero(t *testing.T) {
	for _, tc := range []struct {
		s    Sequence
		n    int32
		want Sequence
	}{
		{0, 0, 0}, {0, 1, 1}, {math.MaxInt32 - 1, 1, math.MaxInt32}, {math.MaxInt32, 0, math.MaxInt32}, {math.MaxInt32, 1, 0},
		{math.MaxInt32 - 2, 5, 2}, {math.MaxInt32, math.MaxInt32, math.MaxInt32 - 1}, {1, math.MaxInt32, 0},
	} {
		if got := tc.s.Add(tc.n); got != tc.want {
			t.Errorf("%d + %d = %d, want %d", tc.s, tc.n, got, tc.want)
		}
	}
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 1000 {
		s, n := Sequence(r.Int32()), r.Int32()
		if got, want := s.Add(n), Sequence((int64(s)+int64(n))%(1<<31)); got != want || got < 0 {
			t.Fatalf("%d + %d = %d, want %d", s, n, got, want)
		}
	}
}

// KAF-3: the numbers of the protocol are types of their own, so one cannot be passed for another.
func TestNumbersAreDistinctTypes(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, v := range []any{Offset(0), LeaderEpoch(0), ProducerID(0), ProducerEpoch(0), Sequence(0), Timestamp(0), BrokerID(0), ErrorCode(0)} {
		typ := reflect.TypeOf(v)
		if seen[typ] || typ.PkgPath() == "" {
			t.Errorf("%v is no type of its own", typ)
		}
		seen[typ] = true
	}
}

func TestUUIDsAreWrittenAsKafkaWritesThem(t *testing.T) {
	u := UUID{0xe4, 0xbe, 0x88, 0x70, 0xc7, 0xff, 0x4d, 0xf8, 0x88, 0x45, 0xcc, 0xa4, 0x51, 0x1f, 0x42, 0xab}
	if u.String() != "5L6IcMf_TfiIRcykUR9Cqw" {
		t.Error(u)
	}
	if got, err := ParseUUID(u.String()); err != nil || got != u {
		t.Error(got, err)
	}
	for _, s := range []string{"", "5L6IcMf_TfiIRcykUR9Cq", "5L6IcMf_TfiIRcykUR9Cqww", "5L6IcMf+TfiIRcykUR9Cqw", "5L6IcMf_TfiIRcykUR9Cqw=="} {
		if got, err := ParseUUID(s); err == nil {
			t.Errorf("%q is read as %v", s, got)
		}
	}
	var back UUID
	if text, err := u.MarshalText(); err != nil || back.UnmarshalText(text) != nil || back != u {
		t.Error(back)
	}
	if err := back.UnmarshalText([]byte("x")); err == nil {
		t.Error("no id at all")
	}
	if !(UUID{}).IsZero() || u.IsZero() {
		t.Error("IsZero")
	}
	seen := map[UUID]bool{}
	for range 1000 {
		n := NewUUID()
		if n.IsZero() || n == (UUID{15: 1}) || n.String()[0] == '-' || len(n.String()) != 22 || seen[n] {
			t.Fatal(n)
		}
		seen[n] = true
	}
}

func TestTopicPartitionIsNamedAsItsDirectory(t *testing.T) {
	if got := (TopicPartition{"a-b", 12}).String(); got != "a-b-12" {
		t.Error(got)
	}
}
