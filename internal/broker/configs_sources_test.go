package broker

import (
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/metadata"
)

// The cleaner's pace can be set while the broker runs, for all brokers and for one.
func TestCleanerBackoffFollowsTheImage(t *testing.T) {
	set := Settings{Node: 1}
	img := metadata.Empty()
	for _, c := range []struct {
		broker, value string
		want          time.Duration
	}{
		{"", "", 15 * time.Second},
		{"", "2000", 2 * time.Second},
		{"2", "7", 2 * time.Second},
		{"1", "9223372036854775807", 9223372036854 * time.Millisecond},
		{"1", "0", 0},
	} {
		if c.value != "" {
			next, _, err := metadata.Fold(img, []metadata.Record{&metadata.ConfigRecord{
				Resource: metadata.Resource{Type: metadata.ResourceBroker, Name: c.broker}, Name: "log.cleaner.backoff.ms", Value: &c.value,
			}})
			if err != nil {
				t.Fatal(err)
			}
			img = next
		}
		if got := set.CleanerBackoff(img); got != c.want {
			t.Errorf("after %q for broker %q: %v, want %v", c.value, c.broker, got, c.want)
		}
	}
}
