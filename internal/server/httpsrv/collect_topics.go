package httpsrv

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// otherTopics stands for the topics without series of their own, so that sums stay true.
const otherTopics = "(other)"

// Per topic and per partition: as Kafka's own exporter and kafka_exporter name them.
var (
	topicTraffic = []struct {
		desc *prometheus.Desc
		of   func(*Traffic) int64
	}{
		{describe("kafka_server_brokertopicmetrics_messagesin_total", "Records appended.", "topic"), func(t *Traffic) int64 { return t.MessagesIn }},
		{describe("kafka_server_brokertopicmetrics_bytesin_total", "Bytes of batches appended.", "topic"), func(t *Traffic) int64 { return t.BytesIn }},
		{describe("kafka_server_brokertopicmetrics_bytesout_total", "Bytes of batches read for consumers.", "topic"), func(t *Traffic) int64 { return t.BytesOut }},
		{describe("kafka_server_brokertopicmetrics_totalproducerequests_total", "Produce requests, once for each partition named.", "topic"), func(t *Traffic) int64 { return t.ProduceRequests }},
		{describe("kafka_server_brokertopicmetrics_totalfetchrequests_total", "Fetch requests, once for each partition named.", "topic"), func(t *Traffic) int64 { return t.FetchRequests }},
		{describe("kafka_server_brokertopicmetrics_failedproducerequests_total", "Produce requests that failed, once for each partition.", "topic"), func(t *Traffic) int64 { return t.FailedProduce }},
		{describe("kafka_server_brokertopicmetrics_failedfetchrequests_total", "Fetch requests that failed, once for each partition.", "topic"), func(t *Traffic) int64 { return t.FailedFetch }},
	}

	topicPartitions   = describe("kafka_topic_partitions", "Partitions of a topic.", "topic")
	currentOffset     = describe("kafka_topic_partition_current_offset", "High watermark: the offset that the next record a consumer sees will have at least.", "topic", "partition")
	oldestOffset      = describe("kafka_topic_partition_oldest_offset", "Offset of the oldest record.", "topic", "partition")
	inSyncReplica     = describe("kafka_topic_partition_in_sync_replica", "Replicas in sync.", "topic", "partition")
	leader            = describe("kafka_topic_partition_leader", "Id of the leader, -1 without one.", "topic", "partition")
	leaderIsPreferred = describe("kafka_topic_partition_leader_is_preferred", "1 if the first replica leads.", "topic", "partition")
	replicaCount      = describe("kafka_topic_partition_replicas", "Replicas.", "topic", "partition")
	isUnderReplicated = describe("kafka_topic_partition_under_replicated_partition", "1 if a replica is not in sync.", "topic", "partition")
	logSize           = describe("kafka_log_log_size", "Bytes of the log.", "topic", "partition")

	topicsOmitted     = describe("rafka_metrics_omitted_topics", "Topics that have no series of their own on this page.")
	partitionsOmitted = describe("rafka_metrics_omitted_partitions", "Partitions that have no series of their own on this page.")
	storedMessages    = describe("rafka_storage_messages_total", "Records stored now, of the logs that are in use.")
	storedBytes       = describe("rafka_storage_bytes_total", "Bytes stored now, of the logs that are in use.")
	unopenedLogs      = describe("rafka_storage_unopened_logs", "Logs not used since the broker started. What they hold is not counted, a scrape does not open them.")
	oldestAge         = describe("rafka_storage_oldest_message_age_seconds", "Age of the oldest record stored; 0 if there is none.")
)

func (c *collector) collectTopics(p page, img *metadata.Image) {
	topics := img.Topics.Sorted()
	// The smallest first: one topic of ten thousand partitions shall not hide all the others.
	slices.SortStableFunc(topics, func(a, b *metadata.Topic) int { return cmp.Compare(len(a.Partitions), len(b.Partitions)) })
	shown := make(map[string]bool, min(len(topics), c.maxTopics)) // with series for each partition, if true
	left, omitted := c.maxPartitions, 0
	for _, t := range topics[:min(len(topics), c.maxTopics)] {
		n := len(t.Partitions)
		shown[t.Name] = n <= left
		p.gauge(topicPartitions, float64(n), t.Name)
		if n > left {
			omitted += n
			continue
		}
		left -= n
		for i := range t.Partitions {
			collectPartition(p, t.Name, strconv.Itoa(i), &t.Partitions[i])
		}
	}
	for _, t := range topics[min(len(topics), c.maxTopics):] {
		omitted += len(t.Partitions)
	}
	p.gauge(topicsOmitted, float64(max(0, len(topics)-c.maxTopics)))
	p.gauge(partitionsOmitted, float64(omitted))
	if c.sources.Oldest != nil {
		age := time.Duration(0)
		if oldest := c.sources.Oldest(); !oldest.IsZero() {
			age = max(0, c.now().Sub(oldest))
		}
		p.gauge(oldestAge, age.Seconds())
	}
	if c.sources.Replicas != nil {
		c.collectLogs(p, shown)
	}
}

// collectPartition tells what the cluster knows of a partition.
func collectPartition(p page, topic, number string, one *metadata.Partition) {
	p.gauge(inSyncReplica, float64(len(one.ISR)), topic, number)
	p.gauge(leader, float64(one.Leader), topic, number)
	p.gauge(leaderIsPreferred, fact(len(one.Replicas) > 0 && one.Leader == one.Replicas[0] && one.Leader != kafka.NoBroker), topic, number)
	p.gauge(replicaCount, float64(len(one.Replicas)), topic, number)
	p.gauge(isUnderReplicated, fact(len(one.ISR) < len(one.Replicas)), topic, number)
}

// collectLogs tells what this node knows of its replicas. shown has the topics with series of their own.
func (c *collector) collectLogs(p page, shown map[string]bool) {
	var other Traffic
	hasOther := false
	messages, bytes, unopened := int64(0), int64(0), 0
	for _, t := range c.sources.Replicas.Topics() {
		withPartitions, withTopic := shown[t.Name]
		if withTopic {
			for _, m := range topicTraffic {
				p.counter(m.desc, float64(m.of(&t.Traffic)), t.Name)
			}
		} else {
			other, hasOther = other.plus(t.Traffic), true
		}
		for _, one := range c.sources.Replicas.Partitions(t) {
			if !one.IsOpen {
				unopened++
				continue
			}
			messages += int64(max(0, one.HighWatermark-one.Start))
			bytes += one.Size
			if withPartitions {
				number := strconv.Itoa(int(one.Partition))
				p.gauge(currentOffset, float64(one.HighWatermark), t.Name, number)
				p.gauge(oldestOffset, float64(one.Start), t.Name, number)
				p.gauge(logSize, float64(one.Size), t.Name, number)
			}
		}
	}
	if hasOther {
		for _, m := range topicTraffic {
			p.counter(m.desc, float64(m.of(&other)), otherTopics)
		}
	}
	p.gauge(storedMessages, float64(messages))
	p.gauge(storedBytes, float64(bytes))
	p.gauge(unopenedLogs, float64(unopened))
}

func (t Traffic) plus(o Traffic) Traffic {
	return Traffic{
		MessagesIn: t.MessagesIn + o.MessagesIn, BytesIn: t.BytesIn + o.BytesIn, BytesOut: t.BytesOut + o.BytesOut,
		ProduceRequests: t.ProduceRequests + o.ProduceRequests, FetchRequests: t.FetchRequests + o.FetchRequests,
		FailedProduce: t.FailedProduce + o.FailedProduce, FailedFetch: t.FailedFetch + o.FailedFetch,
	}
}
