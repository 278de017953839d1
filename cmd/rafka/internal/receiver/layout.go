package receiver

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// layout is who leads the partitions that are assigned, as the last metadata said.
type layout struct {
	version int // of the assignment it was made for
	stale   bool
	names   map[[16]byte]string
	led     map[int32][]partitionKey // by broker
}

// look brings the layout up to date. Partitions without a leader are left out, and it stays stale.
func (r *Receiver) look(ctx context.Context) error {
	assigned, version, _, err := r.member.now()
	if err != nil || version == r.layout.version && !r.layout.stale {
		return err
	}
	next := layout{version: version, names: make(map[[16]byte]string), led: make(map[int32][]partitionKey)}
	if len(assigned) > 0 {
		metadata, err := r.metadata(ctx, assigned)
		if err != nil {
			return err
		}
		next.place(assigned, metadata)
	}
	r.layout = next
	return nil
}

func (r *Receiver) metadata(ctx context.Context, assigned []partitionKey) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	topics := make(map[[16]byte]bool)
	for _, k := range assigned {
		if !topics[k.topic] {
			topics[k.topic] = true
			t := kmsg.NewMetadataRequestTopic()
			t.TopicID = k.topic
			req.Topics = append(req.Topics, t)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	resp, err := req.RequestWith(ctx, r.cl)
	if err != nil {
		return nil, fmt.Errorf("ask who leads the topics' partitions: %w", err)
	}
	return resp, nil
}

// place says which broker is to be asked for which partition.
func (l *layout) place(assigned []partitionKey, metadata *kmsg.MetadataResponse) {
	leaders := make(map[partitionKey]int32)
	for _, t := range metadata.Topics {
		if t.Topic == nil {
			continue
		}
		l.names[t.TopicID] = *t.Topic
		for _, p := range t.Partitions {
			if p.Leader >= 0 && p.ErrorCode != kerr.LeaderNotAvailable.Code {
				leaders[partitionKey{t.TopicID, p.Partition}] = p.Leader
			}
		}
	}
	for _, k := range assigned {
		if leader, ok := leaders[k]; ok {
			l.led[leader] = append(l.led[leader], k)
		} else {
			l.stale = true
		}
	}
}

// brokers are those to ask, from the one whose turn it is.
func (r *Receiver) brokers() []int32 {
	ids := slices.SortedFunc(maps.Keys(r.layout.led), cmp.Compare[int32])
	if len(ids) == 0 {
		return nil
	}
	first := r.turn % len(ids)
	return slices.Concat(ids[first:], ids[:first])
}

// name is a topic's name, for people.
func (l *layout) name(topic [16]byte) string {
	if name, ok := l.names[topic]; ok {
		return name
	}
	return fmt.Sprintf("topic %x", topic)
}
