package broker

import (
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// What is remembered is that of the image that is asked for, and a group's own settings go first.
func TestGroupSettingsFollowTheImage(t *testing.T) {
	set := func(img *metadata.Image, r metadata.Resource, name, value string) *metadata.Image {
		next, _, err := metadata.Fold(img, []metadata.Record{&metadata.ConfigRecord{Resource: r, Name: name, Value: &value}})
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	s := NewGroupSettings(Settings{Node: 1})
	first := metadata.Empty()
	second := set(first, metadata.Resource{Type: metadata.ResourceBroker}, "group.share.record.lock.duration.ms", "20000")
	third := set(second, metadata.Resource{Type: metadata.ResourceGroup, Name: "own"}, "share.record.lock.duration.ms", "50000")
	for _, tc := range []struct {
		img   *metadata.Image
		group string
		want  time.Duration
	}{{first, "g", 30 * time.Second}, {second, "g", 20 * time.Second}, {third, "own", 50 * time.Second}, {third, "g", 20 * time.Second}, {first, "own", 30 * time.Second}} {
		if got := s.Group(tc.img, tc.group).Share.LockDuration; got != tc.want {
			t.Errorf("%s: %v, want %v", tc.group, got, tc.want)
		}
	}
}

// A kind of group that group.coordinator.rebalance.protocols does not have is refused.
func TestProtocolsThatAreTurnedOffAreRefused(t *testing.T) {
	b := &Broker{}
	b.opts.GroupSettings = NewGroupSettings(Settings{Node: 1})
	value := "consumer"
	img, _, err := metadata.Fold(metadata.Empty(), []metadata.Record{&metadata.ConfigRecord{Resource: metadata.Resource{Type: metadata.ResourceBroker}, Name: "group.coordinator.rebalance.protocols", Value: &value}})
	if err != nil {
		t.Fatal(err)
	}
	b.opts.Image = func() *metadata.Image { return img }
	if b.speaks("consumer") != kafka.None || b.speaks("streams") != kafka.UnsupportedVersion || b.speaks("classic") != kafka.UnsupportedVersion {
		t.Error(b.speaks("consumer"), b.speaks("streams"), b.speaks("classic"))
	}
}
