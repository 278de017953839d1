package httpsrv

import (
	"runtime/metrics"
	"strconv"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// What the cluster is, and what this node has of it. kafka_server_… and kafka_controller_… are the names that dashboards for Kafka expect.
var (
	buildInfo        = describe("rafka_build_info", "1, with the version of this broker.", "version")
	brokers          = describe("kafka_brokers", "Brokers that are registered and not fenced.")
	brokerInfo       = describe("kafka_broker_info", "1 for each registered broker, with where clients reach it first.", "id", "address")
	activeController = describe("kafka_controller_kafkacontroller_activecontrollercount", "1 if this node is the controller.")
	offlineParts     = describe("kafka_controller_kafkacontroller_offlinepartitionscount", "Partitions of the cluster that have no leader.")
	raftLeader       = describe("kafka_server_raftmetrics_current_leader", "Id of the node that decides about the metadata, -1 without one.")
	raftEpoch        = describe("kafka_server_raftmetrics_current_epoch", "Term of the node that decides; it rises with each change.")
	raftWatermark    = describe("kafka_server_raftmetrics_high_watermark", "Committed changes of the metadata that this node has.")
	raftEnd          = describe("kafka_server_raftmetrics_log_end_offset", "Changes of the metadata that this node has: committed ones only.")
	globalTopics     = describe("kafka_controller_kafkacontroller_globaltopiccount", "Topics of the cluster.")
	globalParts      = describe("kafka_controller_kafkacontroller_globalpartitioncount", "Partitions of the cluster.")
	activeTopics     = describe("rafka_active_topics", "Topics of the cluster.")
	memoryUsage      = describe("rafka_memory_usage_bytes", "Memory that the Go runtime holds from the operating system.")

	partitionCount  = describe("kafka_server_replicamanager_partitioncount", "Partitions that have a replica on this node.")
	leaderCount     = describe("kafka_server_replicamanager_leadercount", "Partitions that this node leads.")
	underReplicated = describe("kafka_server_replicamanager_underreplicatedpartitions", "Partitions led here of which a replica is not in sync.")
	underMinISR     = describe("kafka_server_replicamanager_underminisrpartitioncount", "Partitions led here with fewer replicas in sync than min.insync.replicas.")
	atMinISR        = describe("kafka_server_replicamanager_atminisrpartitioncount", "Partitions led here with exactly min.insync.replicas in sync.")
	offlineReplicas = describe("kafka_server_replicamanager_offlinereplicacount", "Replicas on this node whose log has failed.")
	clusterUnderMin = describe("kafka_cluster_partition_underminisr", "Partitions led here with fewer replicas in sync than min.insync.replicas.")
	clusterAtMin    = describe("kafka_cluster_partition_atminisr", "Partitions led here with exactly min.insync.replicas in sync.")
	offlineDirs     = describe("kafka_log_logmanager_offlinelogdirectorycount", "Data directories that have failed.")
	fullDirs        = describe("rafka_storage_full_directories", "Data directories that refuse appends for want of room.")
	diskTotal       = describe("rafka_storage_disk_total_bytes", "Size of the file system of a data directory.", "directory")
	diskFree        = describe("rafka_storage_disk_free_bytes", "Room left in the file system of a data directory.", "directory")

	scrubbed       = describe("rafka_scrub_bytes_total", "Bytes of logs that were read in search of damage.")
	scrubPasses    = describe("rafka_scrub_passes_total", "Times that all logs of this node were read in search of damage.")
	rotFound       = describe("rafka_storage_rot_found_total", "Damaged stretches of logs that were found on this node's disks.")
	rotMended      = describe("rafka_storage_rot_mended_total", "Of these, those that were fetched again from another replica.")
	rotLeft        = describe("rafka_storage_rot_partitions", "Partitions of this node with damage that is not mended.")
	fetcherSources = describe("rafka_replica_fetchers", "Brokers that this node copies partitions from.")
	fetcherDead    = describe("kafka_server_replicafetchermanager_deadthreadcount", "Brokers that this node copies partitions from and that do not answer.")
	fetcherFailed  = describe("kafka_server_replicafetchermanager_failedpartitionscount", "Partitions followed here of which the last attempt to copy failed.")
	fetcherLag     = describe("kafka_server_replicafetchermanager_maxlag", "Records that the follower furthest behind on this node has not copied yet.")
	fetcherBehind  = describe("rafka_replica_behind_seconds", "How long the follower on this node that is behind for longest has not had all that is committed.")
	fetcherBytes   = describe("kafka_server_brokertopicmetrics_replicationbytesin_total", "Bytes of batches copied from leaders.")
	fetcherErrors  = describe("rafka_replica_fetch_failures_total", "Connections to leaders that broke, and partitions that a leader refused to a follower here.")
	delayedRecords = describe("rafka_delayed_records", "Records of partitions led here that wait for their time.")

	published       = describe("rafka_messages_published_total", "Records appended through every door.")
	bytesPublished  = describe("rafka_bytes_published_total", "Bytes of record batches appended through every door.")
	bytesConsumed   = describe("rafka_bytes_consumed_total", "Bytes of record batches read for consumers of every door.")
	messagesFailed  = describe("rafka_messages_failed_total", "Batches that were refused or could not be stored.")
	partitionErrors = describe("rafka_partition_errors_total", "Produce and fetch requests that failed, counted for each partition they named.")
	storageErrors   = describe("rafka_storage_errors_total", "I/O errors that took a log or a data directory offline.")
)

func (c *collector) collectBroker(p page, img *metadata.Image) {
	p.gauge(buildInfo, 1, c.version)
	alive := 0
	for id, b := range img.Brokers {
		if !b.Fenced {
			alive++
		}
		address := ""
		if len(b.Endpoints) > 0 {
			address = b.Endpoints[0].Host + ":" + strconv.Itoa(int(b.Endpoints[0].Port))
		}
		p.gauge(brokerInfo, 1, strconv.Itoa(int(id)), address)
	}
	p.gauge(brokers, float64(alive))
	p.gauge(activeController, fact(img.Controller == c.sources.NodeID))
	p.gauge(raftLeader, float64(img.Controller))
	p.gauge(raftEpoch, float64(img.Term))
	p.gauge(raftWatermark, float64(img.Offset))
	p.gauge(raftEnd, float64(img.Offset))
	offline, behind := 0, 0
	for t := range img.Topics.All() {
		for i := range t.Partitions {
			one := &t.Partitions[i]
			if one.Leader == kafka.NoBroker {
				offline++
			}
			if one.Leader == c.sources.NodeID && len(one.ISR) < len(one.Replicas) {
				behind++
			}
		}
	}
	p.gauge(offlineParts, float64(offline))
	p.gauge(underReplicated, float64(behind))
	p.gauge(globalTopics, float64(img.Topics.Len()))
	p.gauge(activeTopics, float64(img.Topics.Len()))
	p.gauge(globalParts, float64(img.Topics.PartitionCount()))
	p.gauge(memoryUsage, runtimeBytes())
	if c.sources.StorageErrors != nil {
		p.counter(storageErrors, float64(c.sources.StorageErrors()))
	}
}

func (c *collector) collectReplicas(p page) {
	n := c.sources.Replicas.Counts()
	p.gauge(partitionCount, float64(n.Partitions))
	p.gauge(leaderCount, float64(n.Leaders))
	p.gauge(underMinISR, float64(n.UnderMinISR))
	p.gauge(clusterUnderMin, float64(n.UnderMinISR))
	p.gauge(atMinISR, float64(n.AtMinISR))
	p.gauge(clusterAtMin, float64(n.AtMinISR))
	p.gauge(offlineReplicas, float64(n.Offline))
	p.counter(scrubbed, float64(n.Rot.Scrubbed))
	p.counter(scrubPasses, float64(n.Rot.Passes))
	p.counter(rotFound, float64(n.Rot.Found))
	p.counter(rotMended, float64(n.Rot.Mended))
	p.gauge(rotLeft, float64(n.Rot.Broken))
	p.gauge(delayedRecords, float64(n.Delayed))
	p.gauge(fetcherSources, float64(n.Following.Sources))
	p.gauge(fetcherDead, float64(n.Following.Silent))
	p.gauge(fetcherFailed, float64(n.Following.Failed))
	p.gauge(fetcherLag, float64(n.Following.MaxLag))
	p.gauge(fetcherBehind, n.Following.Behind.Seconds())
	p.counter(fetcherBytes, float64(n.Following.BytesIn))
	p.counter(fetcherErrors, float64(n.Following.Failures))
	p.counter(published, float64(n.Traffic.MessagesIn))
	p.counter(bytesPublished, float64(n.Traffic.BytesIn))
	p.counter(bytesConsumed, float64(n.Traffic.BytesOut))
	p.counter(messagesFailed, float64(n.Traffic.FailedProduce))
	p.counter(partitionErrors, float64(n.Traffic.FailedProduce+n.Traffic.FailedFetch))
	failed, full := 0, 0
	for _, d := range c.sources.Replicas.Directories() {
		if d.Failed != nil {
			failed++
		}
		if d.Full {
			full++
		}
		if d.Total > 0 {
			p.gauge(diskTotal, float64(d.Total), d.Path)
			p.gauge(diskFree, float64(d.Free), d.Path)
		}
	}
	p.gauge(offlineDirs, float64(failed))
	p.gauge(fullDirs, float64(full))
}

// runtimeBytes is what the Go runtime holds: all it has mapped but what it has given back.
func runtimeBytes() float64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return float64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}
