package kafkasrv

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
)

// Every API in every version with random content: whatever is asked, an answer of that version comes back that another implementation
// reads to its last byte, and the connection goes on. (WIR-2)
func TestEveryVersionIsAnswered(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	d := open(t, newFakeBroker("orders", "nnn"), Options{})
	c := d.dial(t)
	c.ask(hello())
	for _, a := range d.apis.list {
		for v := a.min; v <= a.max; v++ {
			for range 30 {
				msg := kmsg.RequestForKey(a.key)
				fill(rng, reflect.ValueOf(msg).Elem(), 0)
				msg.SetVersion(v)
				switch q := msg.(type) {
				case *kmsg.ProduceRequest:
					q.Acks = 1
				case *kmsg.FetchRequest:
					q.MaxWaitMillis = 0
				}
				c.ask(msg)
			}
		}
	}
}

// One request of each API and version that means something, with the outcome looked at.
func TestEveryVersionDoesWhatItSays(t *testing.T) {
	each := func(key int16, do func(t *testing.T, d *door, c *client, v int16)) {
		for _, a := range newAPITable().list {
			for v := a.min; v <= a.max && a.key == key; v++ {
				t.Run(fmt.Sprintf("%s-v%d", a.name, v), func(t *testing.T) {
					d := open(t, newFakeBroker("orders"), Options{})
					do(t, d, d.dial(t), v)
				})
			}
		}
	}
	orders := func(d *door) kafka.UUID { return d.broker.Image().Topics.ByName("orders").ID }

	each(0, func(t *testing.T, d *door, c *client, v int16) {
		q := produceTo("orders", -1, batch(10))
		q.Version, q.Topics[0].TopicID = v, orders(d)
		q.Topics = append(q.Topics, produceTo("unknown", -1, batch(10)).Topics[0])
		q.Topics[1].TopicID = kafka.UUID{9}
		for i := range 3 {
			resp := c.ask(q).(*kmsg.ProduceResponse)
			if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != int64(i) || p.LogAppendTime != -1 {
				t.Fatalf("%+v", p)
			}
			want := kafka.UnknownTopicOrPartition
			if v >= 13 {
				want = kafka.UnknownTopicID
			}
			if p := resp.Topics[1].Partitions[0]; p.ErrorCode != int16(want) || p.BaseOffset != -1 {
				t.Fatalf("%+v", p)
			}
		}
		q.TransactionID = kmsg.StringPtr("t")
		c.ask(q)
		support := broker.TransactionsVerified
		if v >= 11 {
			support = broker.TransactionsAbortable
		}
		if v >= 12 {
			support = broker.TransactionsImplicit
		}
		if d.broker.support != support || d.broker.transactionalID != "t" {
			t.Errorf("transaction %q with support %d, want %d", d.broker.transactionalID, d.broker.support, support)
		}
	})
	each(1, func(t *testing.T, d *door, c *client, v int16) {
		c.ask(produceTo("orders", -1, batch(10)))
		c.ask(produceTo("orders", -1, batch(20)))
		q := fetchOf("orders", orders(d), 1)
		q.Version = v
		resp := c.ask(q).(*kmsg.FetchResponse)
		p := resp.Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.HighWatermark != 2 || p.LastStableOffset != 2 || len(p.RecordBatches) != len(batch(20)) {
			t.Fatalf("%+v", p)
		}
		if v >= 7 && resp.SessionID == 0 {
			t.Error("no session")
		}
		if p.AbortedTransactions != nil {
			t.Errorf("who reads all records is told %+v", p.AbortedTransactions)
		}
		d.broker.aborted = []broker.AbortedTxn{{Producer: 5, First: 1}, {Producer: 6, First: 0}}
		q.IsolationLevel = 1
		p = c.ask(q).(*kmsg.FetchResponse).Topics[0].Partitions[0]
		if a := p.AbortedTransactions; p.LastStableOffset != 1 || len(a) != 2 || a[0].ProducerID != 5 || a[0].FirstOffset != 1 || a[1].ProducerID != 6 {
			t.Errorf("who reads committed records is told %+v", p)
		}
	})
	each(2, func(t *testing.T, d *door, c *client, v int16) {
		c.ask(produceTo("orders", -1, batch(10)))
		q := kmsg.NewPtrListOffsetsRequest()
		q.Version = v
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = "orders"
		for i, ts := range []int64{-1, -2, -6} {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp = int32(i), ts
			topic.Partitions = append(topic.Partitions, p)
		}
		topic.Partitions[2].Partition = 7
		q.Topics = append(q.Topics, topic)
		resp := c.ask(q).(*kmsg.ListOffsetsResponse).Topics[0].Partitions
		want := kafka.UnsupportedVersion
		if v >= 11 {
			want = kafka.UnknownTopicOrPartition
		}
		if resp[0].Offset != 1 || resp[1].Offset != 0 || resp[2].ErrorCode != int16(want) {
			t.Fatalf("%+v", resp)
		}
	})
	each(3, func(t *testing.T, d *door, c *client, v int16) {
		q := kmsg.NewPtrMetadataRequest()
		q.Version, q.AllowAutoTopicCreation = v, true
		resp := c.ask(q).(*kmsg.MetadataResponse)
		if len(resp.Topics) != 1 || *resp.Topics[0].Topic != "orders" || len(resp.Topics[0].Partitions) != 2 {
			t.Fatalf("%+v", resp.Topics)
		}
		if len(resp.Brokers) != 1 || fmt.Sprintf("%s:%d", resp.Brokers[0].Host, resp.Brokers[0].Port) != d.addr {
			t.Fatalf("%+v", resp.Brokers)
		}
		if v >= 1 {
			q.Topics = []kmsg.MetadataRequestTopic{}
			if resp := c.ask(q).(*kmsg.MetadataResponse); len(resp.Topics) != 0 || resp.ControllerID != 1 {
				t.Fatalf("an empty list asks for no topic: %+v", resp)
			}
		}
		for _, name := range []string{"fresh", "no such/name", "orders", "orders"} {
			topic := kmsg.NewMetadataRequestTopic()
			topic.Topic = kmsg.StringPtr(name)
			q.Topics = append(q.Topics, topic)
		}
		resp = c.ask(q).(*kmsg.MetadataResponse)
		if len(resp.Topics) != 3 || resp.Topics[0].ErrorCode != 0 || resp.Topics[1].ErrorCode != int16(kafka.InvalidTopicException) {
			t.Fatalf("%+v", resp.Topics)
		}
		if v >= 4 {
			q.AllowAutoTopicCreation = false
			q.Topics = q.Topics[:1]
			q.Topics[0].Topic = kmsg.StringPtr("other")
			if resp := c.ask(q).(*kmsg.MetadataResponse); resp.Topics[0].ErrorCode != int16(kafka.UnknownTopicOrPartition) {
				t.Fatalf("created all the same: %+v", resp.Topics)
			}
		}
		if v >= 12 {
			q.Topics[0].Topic, q.Topics[0].TopicID = nil, orders(d)
			if resp := c.ask(q).(*kmsg.MetadataResponse); *resp.Topics[0].Topic != "orders" {
				t.Fatalf("by id: %+v", resp.Topics)
			}
			q.Topics[0].Topic = new(string) // as the Java client asks for an id
			if resp := c.ask(q).(*kmsg.MetadataResponse); *resp.Topics[0].Topic != "orders" || resp.Topics[0].ErrorCode != 0 {
				t.Fatalf("by id, with an empty name: %+v", resp.Topics)
			}
			q.Topics[0].TopicID = kafka.UUID{1, 2, 3}
			if resp := c.ask(q).(*kmsg.MetadataResponse); resp.Topics[0].ErrorCode != int16(kafka.UnknownTopicID) || resp.Topics[0].Topic != nil {
				t.Fatalf("by an unknown id: %+v", resp.Topics)
			}
		}
	})
	each(19, func(t *testing.T, d *door, c *client, v int16) {
		q := kmsg.NewPtrCreateTopicsRequest()
		q.Version = v
		for _, name := range []string{"a", "orders", "twice", "twice", "assigned"} {
			topic := kmsg.NewCreateTopicsRequestTopic()
			topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 3, 1
			q.Topics = append(q.Topics, topic)
		}
		q.Topics[4].ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: []int32{1}}}
		resp := c.ask(q).(*kmsg.CreateTopicsResponse).Topics
		for i, want := range []kafka.ErrorCode{kafka.None, kafka.TopicAlreadyExists, kafka.InvalidRequest, kafka.InvalidRequest, kafka.InvalidRequest} {
			if resp[i].ErrorCode != int16(want) || resp[i].Topic != q.Topics[i].Topic || want != kafka.None && resp[i].ErrorMessage == nil {
				t.Errorf("%+v, want %d", resp[i], want)
			}
		}
		if v >= 5 && (resp[0].NumPartitions != 3 || len(resp[0].Configs) != 1) || v >= 7 && resp[0].TopicID == (kafka.UUID{}) {
			t.Errorf("%+v", resp[0])
		}
		q.Topics, q.ValidateOnly = q.Topics[:1], true
		q.Topics[0].Topic = "validated"
		if resp := c.ask(q).(*kmsg.CreateTopicsResponse).Topics; resp[0].ErrorCode != 0 || d.broker.Image().Topics.ByName("validated") != nil {
			t.Errorf("%+v", resp)
		}
	})
	each(20, func(t *testing.T, d *door, c *client, v int16) {
		q := kmsg.NewPtrDeleteTopicsRequest()
		q.Version = v
		names := []string{"orders", "none", "twice", "twice"}
		for i := range names {
			q.TopicNames = append(q.TopicNames, names[i])
			q.Topics = append(q.Topics, kmsg.DeleteTopicsRequestTopic{Topic: &names[i]})
		}
		if v >= 6 {
			q.Topics[0] = kmsg.DeleteTopicsRequestTopic{TopicID: orders(d)}
			q.Topics = append(q.Topics, kmsg.DeleteTopicsRequestTopic{})
		}
		resp := c.ask(q).(*kmsg.DeleteTopicsResponse).Topics
		want := []kafka.ErrorCode{kafka.None, kafka.UnknownTopicOrPartition, kafka.InvalidRequest, kafka.InvalidRequest, kafka.InvalidRequest}
		for i := range resp {
			if resp[i].ErrorCode != int16(want[i]) {
				t.Errorf("%+v, want %d", resp[i], want[i])
			}
		}
		if *resp[0].Topic != "orders" || d.broker.Image().Topics.Len() != 0 {
			t.Errorf("%+v", resp[0])
		}
	})
	each(21, func(t *testing.T, d *door, c *client, v int16) {
		c.ask(produceTo("orders", -1, batch(10)))
		q := kmsg.NewPtrDeleteRecordsRequest()
		q.Version = v
		q.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: "orders", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: 0, Offset: -1}, {Partition: 9}}}}
		p := c.ask(q).(*kmsg.DeleteRecordsResponse).Topics[0].Partitions
		if p[0].LowWatermark != 1 || p[0].ErrorCode != 0 || p[1].ErrorCode != int16(kafka.UnknownTopicOrPartition) || p[1].LowWatermark != -1 {
			t.Errorf("%+v", p)
		}
	})
	each(22, func(t *testing.T, _ *door, c *client, v int16) {
		q := kmsg.NewPtrInitProducerIDRequest()
		q.Version = v
		if resp := c.ask(q).(*kmsg.InitProducerIDResponse); resp.ErrorCode != 0 || resp.ProducerID != 1 || resp.ProducerEpoch != 0 {
			t.Errorf("%+v", resp)
		}
		q.TransactionalID = kmsg.StringPtr("")
		if resp := c.ask(q).(*kmsg.InitProducerIDResponse); resp.ErrorCode != int16(kafka.InvalidRequest) || resp.ProducerID != -1 {
			t.Errorf("%+v", resp)
		}
	})
	each(23, func(t *testing.T, _ *door, c *client, v int16) {
		q := kmsg.NewPtrOffsetForLeaderEpochRequest()
		q.Version = v
		q.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "orders", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{Partition: 1}, {Partition: 5}}}}
		p := c.ask(q).(*kmsg.OffsetForLeaderEpochResponse).Topics[0].Partitions
		if p[0].ErrorCode != 0 || p[0].EndOffset != 0 || p[0].LeaderEpoch != 0 || p[1].ErrorCode != int16(kafka.UnknownTopicOrPartition) || p[1].EndOffset != -1 {
			t.Errorf("%+v", p)
		}
	})
	each(32, func(t *testing.T, _ *door, c *client, v int16) {
		q := kmsg.NewPtrDescribeConfigsRequest()
		q.Version, q.IncludeDocumentation, q.IncludeSynonyms = v, true, true
		q.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: 2, ResourceName: "orders"}, {ResourceType: 2, ResourceName: "x"}, {ResourceType: 2, ResourceName: "orders"}}
		resp := c.ask(q).(*kmsg.DescribeConfigsResponse).Resources
		if entry := resp[0].Configs[0]; resp[0].ErrorCode != 0 || resp[0].ErrorMessage == nil || *resp[0].ErrorMessage != "" || entry.Name != "retention.ms" || entry.Source != 5 || len(entry.ConfigSynonyms) != 1 || v >= 3 && entry.Documentation == nil {
			t.Errorf("%+v", resp[0])
		}
		if resp[1].ErrorCode != int16(kafka.UnknownTopicOrPartition) || resp[1].ErrorMessage == nil || resp[2].ErrorCode != int16(kafka.InvalidRequest) {
			t.Errorf("%+v", resp)
		}
	})
	each(33, func(t *testing.T, d *door, c *client, v int16) {
		q := kmsg.NewPtrAlterConfigsRequest()
		q.Version, q.ValidateOnly = v, true
		value := "1"
		config := []kmsg.AlterConfigsRequestResourceConfig{{Name: "retention.ms", Value: &value}}
		q.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: 2, ResourceName: "orders", Configs: config}, {ResourceType: 2, ResourceName: "t", Configs: config}, {ResourceType: 2, ResourceName: "t"}}
		resp := c.ask(q).(*kmsg.AlterConfigsResponse).Resources
		if resp[0].ErrorCode != 0 || resp[1].ErrorCode != int16(kafka.InvalidRequest) || resp[2].ErrorCode != int16(kafka.InvalidRequest) {
			t.Errorf("%+v", resp)
		}
		if got := fmt.Sprint(d.broker.asked); got != "[alter topic:orders retention.ms op=0 replace=true validate=true]" {
			t.Error(got)
		}
	})
	each(44, func(t *testing.T, d *door, c *client, v int16) {
		q := kmsg.NewPtrIncrementalAlterConfigsRequest()
		q.Version = v
		value := "1"
		q.Resources = []kmsg.IncrementalAlterConfigsRequestResource{
			{ResourceType: 2, ResourceName: "orders", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "cleanup.policy", Op: 2, Value: &value}, {Name: "b", Op: 1}}},
			{ResourceType: 4, ResourceName: "1", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "a", Op: 9, Value: &value}}},
			{ResourceType: 4, ResourceName: "2", Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "a", Op: 0}}},
		}
		resp := c.ask(q).(*kmsg.IncrementalAlterConfigsResponse).Resources
		if resp[0].ErrorCode != 0 || resp[1].ErrorCode != int16(kafka.InvalidRequest) || resp[2].ErrorCode != int16(kafka.InvalidRequest) || resp[2].ErrorMessage == nil {
			t.Errorf("%+v", resp)
		}
		if len(d.broker.asked) != 2 {
			t.Error(d.broker.asked)
		}
	})
	each(35, func(t *testing.T, _ *door, c *client, v int16) {
		q := kmsg.NewPtrDescribeLogDirsRequest()
		q.Version = v
		resp := c.ask(q).(*kmsg.DescribeLogDirsResponse)
		if len(resp.Dirs) != 1 || len(resp.Dirs[0].Topics) != 1 || len(resp.Dirs[0].Topics[0].Partitions) != 2 || v >= 4 && resp.Dirs[0].UsableBytes != 50 {
			t.Errorf("%+v", resp)
		}
		q.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "orders", Partitions: []int32{1}}}
		if resp := c.ask(q).(*kmsg.DescribeLogDirsResponse); len(resp.Dirs[0].Topics[0].Partitions) != 1 {
			t.Errorf("%+v", resp)
		}
	})
	each(37, func(t *testing.T, _ *door, c *client, v int16) {
		q := kmsg.NewPtrCreatePartitionsRequest()
		q.Version = v
		q.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "orders", Count: 4}, {Topic: "x", Count: 4}, {Topic: "twice"}, {Topic: "twice"}}
		resp := c.ask(q).(*kmsg.CreatePartitionsResponse).Topics
		if resp[0].ErrorCode != 0 || resp[1].ErrorCode != int16(kafka.UnknownTopicOrPartition) || resp[2].ErrorCode != int16(kafka.InvalidRequest) || resp[3].ErrorCode != int16(kafka.InvalidRequest) {
			t.Errorf("%+v", resp)
		}
	})
	each(60, func(t *testing.T, d *door, c *client, v int16) {
		q := kmsg.NewPtrDescribeClusterRequest()
		q.Version, q.IncludeClusterAuthorizedOperations = v, true
		resp := c.ask(q).(*kmsg.DescribeClusterResponse)
		if resp.ClusterID != fakeCluster || resp.ControllerID != 1 || len(resp.Brokers) != 1 || resp.ClusterAuthorizedOperations != clusterOperations {
			t.Errorf("%+v", resp)
		}
		if v >= 1 {
			q.EndpointType = 2
			if resp := c.ask(q).(*kmsg.DescribeClusterResponse); resp.ErrorCode != int16(kafka.MismatchedEndpointType) || resp.ErrorMessage == nil {
				t.Errorf("%+v", resp)
			}
		}
	})
	each(61, func(t *testing.T, _ *door, c *client, v int16) {
		q := kmsg.NewPtrDescribeProducersRequest()
		q.Version = v
		q.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "orders", Partitions: []int32{0, 0, 8}}}
		p := c.ask(q).(*kmsg.DescribeProducersResponse).Topics[0].Partitions
		if len(p) != 2 || p[0].ActiveProducers[0].ProducerID != 7 || p[1].ErrorCode != int16(kafka.UnknownTopicOrPartition) {
			t.Errorf("%+v", p)
		}
	})
	each(74, func(t *testing.T, _ *door, c *client, v int16) {
		q := kmsg.NewPtrListConfigResourcesRequest()
		q.Version = v
		resp := c.ask(q).(*kmsg.ListConfigResourcesResponse)
		if v == 0 && len(resp.ConfigResources) != 0 || v == 1 && len(resp.ConfigResources) != 2 {
			t.Errorf("%+v", resp)
		}
		if v == 1 {
			q.ResourceTypes = []int8{2, 3}
			if resp := c.ask(q).(*kmsg.ListConfigResourcesResponse); resp.ErrorCode != int16(kafka.UnsupportedVersion) {
				t.Errorf("%+v", resp)
			}
		}
	})
	each(75, func(t *testing.T, d *door, c *client, v int16) {
		d.broker.EnsureTopics(t.Context(), nil, []string{"alpha", "zeta"})
		var seen []string
		q := kmsg.NewPtrDescribeTopicPartitionsRequest()
		q.Version, q.ResponsePartitionLimit = v, 1
		for range 4 {
			resp := c.ask(q).(*kmsg.DescribeTopicPartitionsResponse)
			for _, topic := range resp.Topics {
				for _, p := range topic.Partitions {
					seen = append(seen, fmt.Sprintf("%s-%d", *topic.Topic, p.Partition))
				}
			}
			if resp.NextCursor == nil {
				break
			}
			q.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: resp.NextCursor.Topic, Partition: resp.NextCursor.Partition}
		}
		if got := fmt.Sprint(seen); got != "[alpha-0 orders-0 orders-1 zeta-0]" {
			t.Error(got)
		}
		q.Cursor, q.ResponsePartitionLimit = nil, 0
		q.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "zeta"}, {Topic: "gone"}, {Topic: "zeta"}}
		resp := c.ask(q).(*kmsg.DescribeTopicPartitionsResponse).Topics
		if len(resp) != 2 || resp[0].ErrorCode != int16(kafka.UnknownTopicOrPartition) || len(resp[1].Partitions) != 1 {
			t.Errorf("%+v", resp)
		}
	})
}

// fetchOf asks for partition 0 of a topic, opening a session where the version has them.
func fetchOf(topic string, id kafka.UUID, offset int64) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.MaxWaitMillis, q.MinBytes, q.SessionEpoch = 12, 0, 1, 0
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = topic, id
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, 1<<20
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}
