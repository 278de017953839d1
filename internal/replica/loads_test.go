package replica

import (
	"math"
	"testing"
)

// A rate begins with what was measured first, and follows a change over about a minute: a burst counts for little.
func TestRatesAreSmoothed(t *testing.T) {
	rate := smooth(-1, 100, 5)
	if rate != 100 {
		t.Errorf("%f", rate)
	}
	if burst := smooth(rate, 1000, 5); burst < 150 || burst > 200 {
		t.Errorf("five seconds of ten times as much: %f", burst)
	}
	for range 60 {
		rate = smooth(rate, 1000, 5)
	}
	if math.Abs(rate-1000) > 10 {
		t.Errorf("after five minutes: %f", rate)
	}
}
