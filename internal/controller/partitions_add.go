package controller

import (
	"encoding/binary"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// MorePartitions asks that a topic has Total partitions. Assignment: replicas of each new one, or nil.
type MorePartitions struct {
	Topic      string
	Total      int32
	Assignment [][]kafka.BrokerID
}

// CreatePartitions decides about each topic on its own.
func CreatePartitions(env *Env, img *metadata.Image, topics []MorePartitions) ([]metadata.Record, []error) {
	times := map[string]int{}
	for i := range topics {
		times[topics[i].Topic]++
	}
	var records []metadata.Record
	errs := make([]error, len(topics))
	asked := 0
	for i := range topics {
		m := &topics[i]
		if times[m.Topic] > 1 {
			errs[i] = kafka.Errorf(kafka.InvalidRequest, "Duplicate topic name.")
			continue
		}
		r, err := addPartitions(env, img, m, asked)
		if err != nil {
			errs[i] = err
			continue
		}
		asked += int(m.Total - r.First)
		records = append(records, r)
	}
	return records, errs
}

func addPartitions(env *Env, img *metadata.Image, m *MorePartitions, asked int) (*metadata.PartitionRecord, error) {
	topic := img.Topics.ByName(m.Topic)
	if topic == nil {
		return nil, kafka.Errorf(kafka.UnknownTopicOrPartition, "This server does not host this topic-partition.")
	}
	has := len(topic.Partitions)
	if int(m.Total) == has {
		return nil, kafka.Errorf(kafka.InvalidPartitions, "Topic already has %d partition(s).", has)
	}
	if int(m.Total) < has {
		return nil, kafka.Errorf(kafka.InvalidPartitions, "The topic %s currently has %d partition(s); %d would not be an increase.", m.Topic, has, m.Total)
	}
	more := int(m.Total) - has
	if m.Assignment != nil && len(m.Assignment) != more {
		return nil, kafka.Errorf(kafka.InvalidReplicaAssignment, "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", more, len(m.Assignment))
	}
	// Unlike in CreateTopics, img does not have what this request has asked for so far.
	if err := checkRoom(env, img.Topics.PartitionCount()+asked, asked, more); err != nil {
		return nil, err
	}
	runs, err := morePartitions(img, topic, m, more)
	if err != nil {
		return nil, err
	}
	return &metadata.PartitionRecord{TopicID: topic.ID, First: int32(has), Runs: runs}, nil
}

func morePartitions(img *metadata.Image, topic *metadata.Topic, m *MorePartitions, more int) ([]metadata.PartitionRun, error) {
	has := len(topic.Partitions)
	replication := 1
	if has > 0 {
		replication = len(topic.Partitions[0].Replicas) - len(topic.Partitions[0].Removing)
	}
	if m.Assignment == nil {
		// Goes on where the existing partitions end, so that the whole topic stays even.
		runs, err := place(img, binary.LittleEndian.Uint32(topic.ID[:]), int32(has), int32(more), int16(replication))
		if err != nil {
			return nil, kafka.Errorf(kafka.InvalidReplicationFactor, "Unable to replicate the partition %d time(s): %w", replication, err)
		}
		return runs, nil
	}
	var runs []metadata.PartitionRun
	for i, replicas := range m.Assignment {
		r, err := assigned(img, int32(has+i), replicas, replication)
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return compress(runs), nil
}
