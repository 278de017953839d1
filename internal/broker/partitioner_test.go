package broker

import (
	"fmt"
	"testing"
)

// The hashes that Kafka's own tests expect of its Java client: a key must land in the same partition through every door.
func TestMurmur2IsThatOfKafkasClients(t *testing.T) {
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
		if p := ByMurmur2([]byte(key), 10); p != (want&0x7fffffff)%10 {
			t.Errorf("%q goes to partition %d", key, p)
		}
	}
}

// The first Rafka's hash, also where the sum is beyond 31 bits.
func TestBySumAddsBytes(t *testing.T) {
	if got := BySum([]byte("abc"), 7); got != (97+98+99)%7 {
		t.Errorf("got %d", got)
	}
	if got := BySum(nil, 7); got != 0 {
		t.Errorf("no bytes: %d", got)
	}
}

// A producer that alternates between topics still uses every partition of each.
func TestTurnsOfTopicsAreApart(t *testing.T) {
	var turns turns
	for i := range int32(6) {
		for _, topic := range []string{"a", "b"} {
			if got := turns.next(topic, 2); got != i%2 {
				t.Fatalf("turn %d of %s is partition %d", i, topic, got)
			}
		}
	}
}

// However many topics there are, only so many are remembered.
func TestTurnsAreBounded(t *testing.T) {
	var turns turns
	for i := range 3 * maxTurns {
		turns.next(fmt.Sprint(i), 3)
		if len(turns.byTopic) > maxTurns {
			t.Fatalf("%d topics are remembered", len(turns.byTopic))
		}
	}
}
