package metadata

import (
	"maps"
	"slices"
)

// Snapshot is an image as records: folding Records and setting the offset gives the image again (MET-2).
type Snapshot struct {
	Offset  Offset
	Records []Record
}

// SnapshotOf returns the records that rebuild the image, always in the same order.
func SnapshotOf(img *Image) Snapshot {
	s := Snapshot{Offset: img.Offset}
	if img.ClusterID != "" {
		s.Records = append(s.Records, &ClusterRecord{ID: img.ClusterID})
	}
	for _, name := range slices.Sorted(maps.Keys(img.Features)) {
		s.Records = append(s.Records, &FeatureLevelRecord{Name: name, Level: img.Features[name]})
	}
	for _, id := range slices.Sorted(maps.Keys(img.Brokers)) {
		s.Records = append(s.Records, &BrokerRecord{Broker: *img.Brokers[id]})
	}
	if img.Controller >= 0 {
		s.Records = append(s.Records, &ControllerRecord{Controller: img.Controller, Term: img.Term})
	}
	if img.NextProducerID > 0 {
		s.Records = append(s.Records, &ProducerIDsRecord{Next: img.NextProducerID})
	}
	for _, t := range img.Topics.Sorted() {
		s.Records = append(s.Records, &TopicRecord{ID: t.ID, Name: t.Name, Internal: t.Internal, Partitions: Runs(t.Partitions)})
	}
	for _, r := range slices.SortedFunc(maps.Keys(img.Configs), Resource.compare) {
		settings := img.Configs[r]
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			value := settings[name]
			s.Records = append(s.Records, &ConfigRecord{Resource: r, Name: name, Value: &value})
		}
	}
	return s
}

// Image folds the snapshot, starting from nothing. The Delta says that everything in it is new.
func (s Snapshot) Image() (*Image, *Delta, error) {
	img, delta, err := Fold(Empty(), s.Records)
	if err != nil {
		return nil, nil, err
	}
	img.Offset, delta.To = s.Offset, s.Offset
	return img, delta, nil
}
