package metadata

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
)

// ErrConflict is in the chain of every error about a record that contradicts the image: a second topic of one name, a partition of
// no topic, a level that falls. The controller never makes one; a store refuses to write one.
var ErrConflict = errors.New("the record contradicts what the cluster knows")

// Fold applies records to img and returns the next image and what changed. img stays as it is (MET-1) and shares with the result
// whatever did not change; one record about one topic costs the copy of that topic and of about 1/256 of the topic table. On an
// error (ErrConflict, ErrUnknownRecord) nothing is applied.
func Fold(img *Image, records []Record) (*Image, *Delta, error) {
	next := *img
	next.Offset += Offset(len(records))
	f := fold{img: &next, delta: &Delta{From: img.Offset, To: next.Offset}}
	for i, r := range records {
		if err := f.apply(r); err != nil {
			return nil, nil, fmt.Errorf("metadata record %d: %w", img.Offset+Offset(i)+1, err)
		}
	}
	f.finish()
	return f.img, f.delta, nil
}

// fold is one Fold under way. img is its own; the tables in it are the old image's until their owned flag is set.
type fold struct {
	img   *Image
	delta *Delta

	ownsTopics, ownsConfigs, ownsBrokers, ownsFeatures bool

	topics  []touched          // in order of first touch
	index   map[kafka.UUID]int // into topics
	configs map[Resource]bool  // true: its map is already a copy
	brokers map[kafka.BrokerID]struct{}
}

func (f *fold) apply(r Record) error {
	switch r := r.(type) {
	case *TopicRecord:
		return f.addTopic(r)
	case *PartitionRecord:
		return f.addPartitions(r)
	case *PartitionChangeRecord:
		return f.changePartition(r)
	case *RemoveTopicRecord:
		return f.removeTopic(r)
	case *ConfigRecord:
		f.setConfig(r)
		return nil
	case *BrokerRecord:
		f.setBroker(r)
		return nil
	case *RemoveBrokerRecord:
		return f.removeBroker(r)
	case *ClusterRecord:
		if f.img.ClusterID != "" && f.img.ClusterID != r.ID {
			return fmt.Errorf("cluster %q cannot become %q: %w", f.img.ClusterID, r.ID, ErrConflict)
		}
		f.img.ClusterID, f.delta.Cluster = r.ID, true
		return nil
	case *ProducerIDsRecord:
		if r.Next < f.img.NextProducerID {
			return fmt.Errorf("producer ids up to %d were handed out, %d would hand some out again: %w", f.img.NextProducerID, r.Next, ErrConflict)
		}
		f.img.NextProducerID, f.delta.Cluster = r.Next, true
		return nil
	case *FeatureLevelRecord:
		return f.setFeature(r)
	case *ControllerRecord:
		if r.Term < f.img.Term {
			return fmt.Errorf("term %d of controller %d is over, it is %d now: %w", r.Term, r.Controller, f.img.Term, ErrConflict)
		}
		f.img.Controller, f.img.Term, f.delta.Cluster = r.Controller, r.Term, true
		return nil
	}
	return fmt.Errorf("record %T: %w", r, ErrUnknownRecord)
}

func (f *fold) setConfig(r *ConfigRecord) {
	if !f.ownsConfigs {
		f.ownsConfigs = true
		f.img.Configs = maps.Clone(f.img.Configs)
		if f.img.Configs == nil {
			f.img.Configs = Configs{}
		}
	}
	if f.configs == nil {
		f.configs = map[Resource]bool{}
	}
	settings := f.img.Configs[r.Resource]
	if !f.configs[r.Resource] {
		f.configs[r.Resource] = true
		if settings = maps.Clone(settings); settings == nil {
			settings = map[string]string{}
		}
	}
	if r.Value == nil {
		delete(settings, r.Name)
	} else {
		settings[r.Name] = *r.Value
	}
	if len(settings) == 0 {
		f.configs[r.Resource] = false
		delete(f.img.Configs, r.Resource)
		return
	}
	f.img.Configs[r.Resource] = settings
}

func (f *fold) dropConfigs(resource Resource) {
	if _, has := f.img.Configs[resource]; !has {
		return
	}
	if !f.ownsConfigs {
		f.ownsConfigs = true
		f.img.Configs = maps.Clone(f.img.Configs)
	}
	if f.configs == nil {
		f.configs = map[Resource]bool{}
	}
	f.configs[resource] = false
	delete(f.img.Configs, resource)
}

func (f *fold) ownBrokers() {
	if f.ownsBrokers {
		return
	}
	f.ownsBrokers = true
	f.img.Brokers = maps.Clone(f.img.Brokers)
	if f.img.Brokers == nil {
		f.img.Brokers = map[kafka.BrokerID]*Broker{}
	}
	f.brokers = map[kafka.BrokerID]struct{}{}
}

func (f *fold) removeBroker(r *RemoveBrokerRecord) error {
	if f.img.Brokers[r.ID] == nil {
		return fmt.Errorf("broker %d is not registered: %w", r.ID, ErrConflict)
	}
	f.ownBrokers()
	delete(f.img.Brokers, r.ID)
	f.brokers[r.ID] = struct{}{}
	return nil
}

func (f *fold) setBroker(r *BrokerRecord) {
	f.ownBrokers()
	b := r.Broker
	f.img.Brokers[b.ID] = &b
	f.brokers[b.ID] = struct{}{}
}

func (f *fold) setFeature(r *FeatureLevelRecord) error {
	if r.Level > SupportedLevel(r.Name) {
		return fmt.Errorf("feature %q at level %d (this build knows up to %d): %w", r.Name, r.Level, SupportedLevel(r.Name), ErrUnknownRecord)
	}
	if r.Level < f.img.Features[r.Name] {
		return fmt.Errorf("feature %q cannot fall from level %d to %d: %w", r.Name, f.img.Features[r.Name], r.Level, ErrConflict)
	}
	if !f.ownsFeatures {
		f.ownsFeatures = true
		if f.img.Features = maps.Clone(f.img.Features); f.img.Features == nil {
			f.img.Features = map[string]int16{}
		}
	}
	f.img.Features[r.Name] = r.Level
	f.delta.Cluster = true
	return nil
}

// finish writes the delta and ends the time in which the new image's tables may be written to.
func (f *fold) finish() {
	f.finishTopics()
	for r := range f.configs {
		f.delta.Configs = append(f.delta.Configs, r)
	}
	slices.SortFunc(f.delta.Configs, Resource.compare)
	for id := range f.brokers {
		f.delta.Brokers = append(f.delta.Brokers, id)
	}
	slices.Sort(f.delta.Brokers)
}
