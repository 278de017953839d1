package config

import "testing"

func TestThrottledReplicas(t *testing.T) {
	for _, c := range []struct {
		value             string
		partition, broker int32
		want              bool
	}{
		{"", 0, 1, false}, {"*", 7, 9, true}, {"0:1,1:2", 0, 1, true}, {"0:1,1:2", 1, 2, true}, {"0:1,1:2", 1, 1, false}, {"99999999999:1,2:3", 2, 3, true},
	} {
		if got := throttledReplicas(c.value).Has(c.partition, c.broker); got != c.want {
			t.Errorf("%q has %d:%d: %v", c.value, c.partition, c.broker, got)
		}
	}
}
