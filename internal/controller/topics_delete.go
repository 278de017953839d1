package controller

import (
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// TopicRef names a topic by name, or by id if Name is empty.
type TopicRef struct {
	Name string
	ID   kafka.UUID
}

// DeletedTopic answers a TopicRef with both; what is not known stays as it was asked.
type DeletedTopic struct {
	Err  error
	Name string
	ID   kafka.UUID
}

// DeleteTopics decides about each topic on its own. A topic that is named twice, by name or by id, is refused each time, because the
// request does not say what its sender believes to exist.
func DeleteTopics(env *Env, img *metadata.Image, refs []TopicRef) ([]metadata.Record, []DeletedTopic) {
	names, ids := map[string]int{}, map[kafka.UUID]int{}
	for _, r := range refs {
		if r.Name != "" {
			names[r.Name]++
		} else {
			ids[r.ID]++
		}
	}
	var records []metadata.Record
	answers := make([]DeletedTopic, len(refs))
	for i, r := range refs {
		a := &answers[i]
		*a = DeletedTopic{Name: r.Name, ID: r.ID}
		switch topic := find(img, r); {
		case !env.DeleteTopics:
			a.Err = kafka.Errorf(kafka.TopicDeletionDisabled, "Topic deletion is disabled.")
		case r.Name == "" && r.ID.IsZero():
			a.Err = kafka.Errorf(kafka.InvalidRequest, "Neither topic name nor id were specified.")
		case r.Name != "" && names[r.Name] > 1:
			a.Err = kafka.Errorf(kafka.InvalidRequest, "Duplicate topic name.")
		case r.Name == "" && ids[r.ID] > 1:
			a.Err = kafka.Errorf(kafka.InvalidRequest, "Duplicate topic id.")
		case topic == nil && r.Name == "":
			a.Err = kafka.Errorf(kafka.UnknownTopicID, "This server does not host this topic ID.")
		case topic == nil:
			a.Err = kafka.Errorf(kafka.UnknownTopicOrPartition, "This server does not host this topic-partition.")
		case names[topic.Name] > 0 && ids[topic.ID] > 0:
			a.Err = kafka.Errorf(kafka.InvalidRequest, "The provided topic name maps to an ID that was already supplied.")
		default:
			a.Name, a.ID = topic.Name, topic.ID
			records = append(records, &metadata.RemoveTopicRecord{ID: topic.ID})
		}
	}
	return records, answers
}

func find(img *metadata.Image, r TopicRef) *metadata.Topic {
	if r.Name != "" {
		return img.Topics.ByName(r.Name)
	}
	return img.Topics.ByID(r.ID)
}
