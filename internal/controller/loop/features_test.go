package loop

import (
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/metadata"
)

// What a broker understands is known as soon as its heartbeat says so, for as long as it is registered, and is no claim of a release that says nothing.
func TestHeartbeatsSayWhatABrokerUnderstands(t *testing.T) {
	b := &metadata.Broker{ID: 2, Epoch: 7}
	img := metadata.Empty()
	img.Brokers[2] = b
	var s leases
	now := time.Unix(0, 0)
	s.begin(now, now, img)
	s.understands(b, nil, now, img)
	if _, known := s.supports(2, metadata.FeatureVersion); known {
		t.Fatal("known of a broker that has said nothing")
	}
	s.understands(b, map[string]int16{metadata.FeatureVersion: 2}, now, img)
	if level, known := s.supports(2, metadata.FeatureVersion); !known || level != 2 {
		t.Fatal(level, known)
	}
	if level, known := s.supports(2, "unheard of"); !known || level != 0 {
		t.Fatal(level, known)
	}
	b = &metadata.Broker{ID: 2, Epoch: 8} // another process, which may be of an older release
	img.Brokers[2] = b
	s.understands(b, nil, now, img)
	s.due(now, img, time.Second) // as the keeper does several times in each lease
	if _, known := s.supports(2, metadata.FeatureVersion); known {
		t.Fatal("known of the process before")
	}
}
