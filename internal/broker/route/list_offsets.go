package route

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

const (
	// listVersion is that of requests to other brokers: the last one that everything that doors ask for is in.
	listVersion = 9
	// listPatience is how long partitions are asked about again whose leader moves or cannot be reached.
	listPatience = 5 * time.Second
)

// ListOffsets implements broker.TailVerbs: partitions are asked about where they are led. What fails and may pass is asked again, by the
// image of then, for listPatience.
//
// Per partition: the errors of broker.ListOffsets, here or there, LeaderNotAvailable and NetworkException.
func (v *Verbs) ListOffsets(ctx context.Context, s *broker.Session, replica kafka.BrokerID, iso broker.Isolation, parts []broker.ListOffsetsPartition) []broker.ListOffsetsResult {
	results := make([]broker.ListOffsetsResult, len(parts))
	open := make([]int, len(parts)) // indexes of what is to be asked
	for i := range open {
		open[i] = i
	}
	giveUp := time.Now().Add(listPatience)
	for delay := firstPause; ; delay = min(2*delay, mostPause) {
		v.listOnce(ctx, s, replica, iso, parts, open, results)
		again := open[:0]
		for _, i := range open {
			if kafka.CodeOf(results[i].Err).Retriable() {
				again = append(again, i)
			}
		}
		if open = again; len(open) == 0 || ctx.Err() != nil || time.Now().Add(delay).After(giveUp) {
			return results
		}
		pause(ctx, delay)
	}
}

// listOnce asks all leaders at the same time.
func (v *Verbs) listOnce(ctx context.Context, s *broker.Session, replica kafka.BrokerID, iso broker.Isolation, parts []broker.ListOffsetsPartition, open []int, results []broker.ListOffsetsResult) {
	img := v.Image()
	byLeader := map[kafka.BrokerID][]int{}
	for _, i := range open {
		where, err := find(img, parts[i].Topic, kafka.UUID{}, parts[i].Partition)
		switch {
		case err != nil: // this broker says what is wrong
			byLeader[v.opts.NodeID] = append(byLeader[v.opts.NodeID], i)
		case where.leader == kafka.NoBroker:
			results[i] = notListed(errNoLeader)
		default:
			byLeader[where.leader] = append(byLeader[where.leader], i)
		}
	}
	var asking sync.WaitGroup
	for leader, which := range byLeader {
		ask := func() {
			some := make([]broker.ListOffsetsPartition, len(which))
			for n, i := range which {
				some[n] = parts[i]
			}
			var answers []broker.ListOffsetsResult
			if leader == v.opts.NodeID {
				answers = v.Local.ListOffsets(ctx, s, replica, iso, some)
			} else {
				answers = v.listAt(ctx, leader, iso, some)
			}
			for n, i := range which {
				if results[i] = notListed(strange(leader)); n < len(answers) {
					results[i] = answers[n]
				}
			}
		}
		if len(byLeader) == 1 {
			ask()
		} else {
			asking.Go(ask)
		}
	}
	asking.Wait()
}

func notListed(err error) broker.ListOffsetsResult {
	return broker.ListOffsetsResult{Err: err, Timestamp: kafka.NoTimestamp, Offset: kafka.NoOffset, LeaderEpoch: kafka.NoEpoch}
}

// listAt asks another broker. One request names a partition once, so what is asked for several times takes several.
func (v *Verbs) listAt(ctx context.Context, to kafka.BrokerID, iso broker.Isolation, parts []broker.ListOffsetsPartition) []broker.ListOffsetsResult {
	results := make([]broker.ListOffsetsResult, len(parts))
	rest := make([]int, len(parts))
	for i := range rest {
		rest[i] = i
	}
	for len(rest) > 0 {
		q := kmsg.NewPtrListOffsetsRequest()
		q.Version, q.ReplicaID, q.IsolationLevel = listVersion, int32(kafka.NoBroker), int8(iso)
		asked := map[kafka.TopicPartition]int{}
		var later []int
		for _, i := range rest {
			tp := kafka.TopicPartition{Topic: parts[i].Topic, Partition: parts[i].Partition}
			if _, twice := asked[tp]; twice {
				later = append(later, i)
				continue
			}
			asked[tp] = i
			results[i] = notListed(strange(to))
			if n := len(q.Topics); n == 0 || q.Topics[n-1].Topic != tp.Topic {
				t := kmsg.NewListOffsetsRequestTopic()
				t.Topic = tp.Topic
				q.Topics = append(q.Topics, t)
			}
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.CurrentLeaderEpoch, p.Timestamp = tp.Partition, int32(parts[i].LeaderEpoch), parts[i].Timestamp
			last := &q.Topics[len(q.Topics)-1]
			last.Partitions = append(last.Partitions, p)
		}
		rest = later
		resp, err := v.opts.Peers.Kafka(ctx, to, q)
		if err != nil {
			for _, i := range asked {
				results[i] = notListed(unreached(to, err))
			}
			for _, i := range rest {
				results[i] = notListed(unreached(to, err))
			}
			return results
		}
		a, ok := resp.(*kmsg.ListOffsetsResponse)
		if !ok {
			continue
		}
		for i := range a.Topics {
			for _, p := range a.Topics[i].Partitions {
				at, known := asked[kafka.TopicPartition{Topic: a.Topics[i].Topic, Partition: p.Partition}]
				switch {
				case !known:
				case p.ErrorCode != 0:
					results[at] = notListed(kafka.ErrorCode(p.ErrorCode))
				default:
					results[at] = broker.ListOffsetsResult{Timestamp: kafka.Timestamp(p.Timestamp), Offset: kafka.Offset(p.Offset), LeaderEpoch: kafka.LeaderEpoch(p.LeaderEpoch)}
				}
			}
		}
	}
	return results
}
