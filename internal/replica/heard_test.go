package replica

import (
	"testing"
	"time"
)

// A broker that stood still gives everybody time from when it goes on; one that looks every second hears who asks, and who does not.
func TestWhoStoodStillHasHeardNobody(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	m := &Manager{opts: Options{Now: func() time.Time { return now }}}
	want := func(at time.Time) {
		t.Helper()
		if got := m.heard.of(2); !got.Equal(at) {
			t.Errorf("broker 2 was heard %v ago, want %v", now.Sub(got), now.Sub(at))
		}
	}
	began := now
	m.heard.looked(now)
	want(began)
	now = now.Add(time.Second)
	m.Heard(2)
	asked := now
	for range 10 {
		m.heard.looked(now)
		now = now.Add(time.Second)
	}
	want(asked)
	now = now.Add(3 * time.Second)
	m.heard.looked(now)
	want(now)
}
