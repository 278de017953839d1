package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// DeleteTopics: v1-6
//
// Behaviour: answered when the topics are gone from this broker's metadata; the client's timeout bounds the wait. A topic named twice, by
// name and by id at once, or by neither, is INVALID_REQUEST.
// v4 flexible · v5 error messages · v6 by topic id
// Left out: nothing.
func deleteTopics(ctx context.Context, r *request, q *kmsg.DeleteTopicsRequest, a *kmsg.DeleteTopicsResponse) {
	ctx, cancel := withTimeout(ctx, q.TimeoutMillis)
	defer cancel()
	topics := q.Topics
	for _, name := range q.TopicNames {
		topics = append(topics, kmsg.DeleteTopicsRequestTopic{Topic: &name})
	}
	named := map[broker.TopicRef]int{}
	refs := make([]broker.TopicRef, len(topics))
	for i := range topics {
		refs[i].ID = topics[i].TopicID
		if topics[i].Topic != nil {
			refs[i].Name = *topics[i].Topic
		}
		named[refs[i]]++
	}
	var wanted []broker.TopicRef
	var places []int
	a.Topics = make([]kmsg.DeleteTopicsResponseTopic, len(topics))
	for i, ref := range refs {
		place := &a.Topics[i]
		place.Default()
		place.Topic, place.TopicID = topics[i].Topic, ref.ID
		if r.version < 6 && place.Topic == nil {
			place.Topic = new(string)
		}
		var err error
		switch {
		case named[ref] > 1:
			err = kafka.Errorf(kafka.InvalidRequest, "the topic is named more than once in the request")
		case ref.Name != "" && !ref.ID.IsZero():
			err = kafka.Errorf(kafka.InvalidRequest, "name a topic by its name or by its id, not by both")
		case topics[i].Topic == nil && ref.ID.IsZero():
			err = kafka.Errorf(kafka.InvalidRequest, "neither a topic's name nor its id was given")
		case topics[i].Topic != nil && ref.Name == "":
			err = kafka.UnknownTopicOrPartition // an empty ref would mean by id
		}
		if err != nil {
			place.ErrorCode, place.ErrorMessage = codeAndMessage(err)
			continue
		}
		wanted, places = append(wanted, ref), append(places, i)
	}
	if len(wanted) == 0 {
		return
	}
	results := r.conn.srv.broker.DeleteTopics(ctx, r.session, wanted)
	for i := range min(len(results), len(places)) {
		res, place := &results[i], &a.Topics[places[i]]
		place.ErrorCode, place.ErrorMessage = codeAndMessage(res.Err)
		if res.Name != "" {
			place.Topic = kmsg.StringPtr(res.Name)
		}
		if !res.ID.IsZero() {
			place.TopicID = res.ID
		}
	}
}
