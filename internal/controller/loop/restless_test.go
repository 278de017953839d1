package loop

import (
	"testing"
	"time"
)

// Who has just made a topic is left alone with it, but where topics come all the time the brokers are evened out nevertheless.
func TestNothingIsEvenedOutWhileThingsComeAndGo(t *testing.T) {
	var k keeper
	k.init()
	now := time.Unix(1000, 0)
	k.began(now, time.Second)
	for _, step := range []struct {
		after      time.Duration
		partitions int
		want       bool
	}{
		{0, 50, true},
		{29 * time.Second, 50, true},
		{time.Second, 50, false},
		{time.Hour, 50, false},
		{0, 51, true}, // a topic was made
		{20 * time.Second, 51, true},
		{0, 50, true}, // and removed
		{29 * time.Second, 50, true},
		{time.Second, 50, false},
	} {
		now = now.Add(step.after)
		if got := k.restlessLocked(now, step.partitions); got != step.want {
			t.Fatalf("with %d partitions at %v: restless is %v", step.partitions, now, got)
		}
	}
	k.moved = true // a broker came or went
	if !k.restlessLocked(now, 50) {
		t.Error("a broker came, and nothing waits")
	}
	k.moved = false
	began := now
	for n := 51; k.restlessLocked(now, n); n++ {
		now = now.Add(10 * time.Second)
		if now.Sub(began) > evenAtLast {
			t.Fatal("topics that come all the time put it off for ever")
		}
	}
}
