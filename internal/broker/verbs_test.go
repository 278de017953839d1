package broker

import "context"

// The doors' small interfaces, and the fake in brokertest, must not drift from what the broker is.
var (
	_ TotalsVerbs = (*Broker)(nil)
	_ interface {
		Produce(s *Session, req *ProduceRequest) Await[[]ProduceResult]
		Fetch(s *Session, req *FetchRequest) Await[[]FetchResult]
	} = (*Broker)(nil)
	_ interface {
		EnsureTopics(ctx context.Context, s *Session, names []string) []error
		CreateTopics(ctx context.Context, s *Session, topics []NewTopic, validateOnly bool) []CreatedTopic
		DeleteTopics(ctx context.Context, s *Session, topics []TopicRef) []DeletedTopic
	} = (*admin)(nil)
)
