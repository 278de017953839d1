package controller

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// NewTopic asks for a topic.
type NewTopic struct {
	Name        string
	Partitions  int32                      // -1: num.partitions
	Replication int16                      // -1: default.replication.factor
	Assignment  map[int32][]kafka.BrokerID // instead of the two above, which are then -1
	Configs     []ConfigEntry
}

// ConfigEntry is a setting of a new topic. A nil Value is refused with kafka.InvalidConfig, as Kafka does.
type ConfigEntry struct {
	Name  string
	Value *string
}

// CreatedTopic answers a NewTopic. What Err leaves without meaning is -1 or zero.
type CreatedTopic struct {
	Err         error
	Name        string
	ID          kafka.UUID
	Partitions  int32
	Replication int16
}

// CreateTopics decides about each topic on its own, in order; one that is refused does not hinder the others.
func CreateTopics(env *Env, img *metadata.Image, topics []NewTopic) ([]metadata.Record, []CreatedTopic) {
	var records []metadata.Record
	answers := make([]CreatedTopic, len(topics))
	times := map[string]int{}
	for i := range topics {
		times[topics[i].Name]++
	}
	asked := 0 // partitions of this request so far
	for i := range topics {
		t := &topics[i]
		answers[i] = CreatedTopic{Name: t.Name, Partitions: -1, Replication: -1}
		if times[t.Name] > 1 {
			answers[i].Err = kafka.Errorf(kafka.InvalidRequest, "Duplicate topic name.")
			continue
		}
		topic, configs, err := createTopic(env, img, t, asked)
		if err != nil {
			answers[i].Err = err
			continue
		}
		made := append([]metadata.Record{topic}, configs...)
		next, _, err := metadata.Fold(img, made)
		if err != nil {
			answers[i].Err = fmt.Errorf("create topic %s: %w", t.Name, err)
			continue
		}
		img = next // so that the topics of one request collide with each other, too
		records = append(records, made...)
		n := len(img.Topics.ByID(topic.ID).Partitions)
		asked += n
		answers[i].ID, answers[i].Partitions, answers[i].Replication = topic.ID, int32(n), int16(len(topic.Partitions[0].Replicas))
	}
	return records, answers
}

func createTopic(env *Env, img *metadata.Image, t *NewTopic, asked int) (*metadata.TopicRecord, []metadata.Record, error) {
	if err := CheckTopicName(t.Name); err != nil {
		return nil, nil, err
	}
	if t.Name == metadataTopic {
		return nil, nil, kafka.Errorf(kafka.TopicAuthorizationFailed, "Authorization failed.")
	}
	if img.Topics.ByName(t.Name) != nil {
		return nil, nil, kafka.Errorf(kafka.TopicAlreadyExists, "Topic '%s' already exists.", t.Name)
	}
	if other := img.Topics.Colliding(t.Name); other != nil {
		return nil, nil, kafka.Errorf(kafka.InvalidTopicException, "Topic '%s' collides with existing topic: %s", t.Name, other.Name)
	}
	configs, err := topicConfigs(t)
	if err != nil {
		return nil, nil, err
	}
	id, err := newTopicID(env, img)
	if err != nil {
		return nil, nil, err
	}
	runs, err := topicPartitions(env, img, t, id, asked)
	if err != nil {
		return nil, nil, err
	}
	return &metadata.TopicRecord{ID: id, Name: t.Name, Internal: IsInternal(t.Name), Partitions: runs}, configs, nil
}

func topicPartitions(env *Env, img *metadata.Image, t *NewTopic, id kafka.UUID, asked int) ([]metadata.PartitionRun, error) {
	if len(t.Assignment) > 0 {
		return assignedPartitions(env, img, t, asked)
	}
	if t.Replication < -1 || t.Replication == 0 {
		return nil, kafka.Errorf(kafka.InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
	}
	if t.Partitions < -1 || t.Partitions == 0 {
		return nil, kafka.Errorf(kafka.InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	partitions, replication := t.Partitions, t.Replication
	if partitions == -1 {
		partitions = env.Partitions
	}
	if replication == -1 {
		replication = env.Replication
	}
	if err := checkRoom(env, img.Topics.PartitionCount(), asked, int(partitions)); err != nil {
		return nil, err
	}
	runs, err := place(img, binary.LittleEndian.Uint32(id[:]), 0, partitions, replication)
	if err != nil {
		return nil, kafka.Errorf(kafka.InvalidReplicationFactor, "Unable to replicate the partition %d time(s): %w", replication, err)
	}
	return runs, nil
}

func assignedPartitions(env *Env, img *metadata.Image, t *NewTopic, asked int) ([]metadata.PartitionRun, error) {
	if t.Replication != -1 {
		return nil, kafka.Errorf(kafka.InvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
	}
	if t.Partitions != -1 {
		return nil, kafka.Errorf(kafka.InvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
	}
	if err := checkRoom(env, img.Topics.PartitionCount(), asked, len(t.Assignment)); err != nil {
		return nil, err
	}
	var runs []metadata.PartitionRun
	replication := 0
	for i, index := range slices.Sorted(maps.Keys(t.Assignment)) {
		if index != int32(i) {
			return nil, kafka.Errorf(kafka.InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
		r, err := assigned(img, index, t.Assignment[index], replication)
		if err != nil {
			return nil, err
		}
		replication = len(r.Replicas)
		runs = append(runs, r)
	}
	return compress(runs), nil
}

// checkRoom bounds what one request may make (asked so far and more) and what there may be in all (existing and more).
func checkRoom(env *Env, existing, asked, more int) error {
	limit := env.maxPartitions()
	if asked+more > limit {
		return kafka.Errorf(kafka.PolicyViolation, "Excessively large number of partitions per request: %d, the limit is %d.", asked+more, limit)
	}
	if existing+more > limit {
		return kafka.Errorf(kafka.PolicyViolation, "The cluster would have %d partitions; the limit is %d. Delete topics that are no longer used.", existing+more, limit)
	}
	return nil
}

// newTopicID never returns the id of a topic that exists; that none comes back after its topic was deleted is up to the source of
// ids, which is random in 122 bits (CTL-5).
func newTopicID(env *Env, img *metadata.Image) (kafka.UUID, error) {
	for range 8 {
		if id := env.NewTopicID(); !id.IsZero() && img.Topics.ByID(id) == nil {
			return id, nil
		}
	}
	return kafka.UUID{}, kafka.Errorf(kafka.UnknownServerError, "the source of topic ids repeats itself")
}

// topicConfigs checks the settings of a new topic; the last of several values for one name counts.
func topicConfigs(t *NewTopic) ([]metadata.Record, error) {
	var nulls []string
	values := map[string]string{}
	for _, c := range t.Configs {
		if c.Value == nil {
			nulls = append(nulls, c.Name)
			continue
		}
		values[c.Name] = *c.Value
	}
	if len(nulls) > 0 {
		return nil, kafka.Errorf(kafka.InvalidConfig, "Null value not supported for topic configs: %s", strings.Join(nulls, ","))
	}
	resource := metadata.Resource{Type: metadata.ResourceTopic, Name: t.Name}
	if err := checkSettings(resource, values, values); err != nil {
		return nil, err
	}
	var records []metadata.Record
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		records = append(records, &metadata.ConfigRecord{Resource: resource, Name: name, Value: &value})
	}
	return records, nil
}
