package config

// brokerRafka are Rafka's own keys of a broker, and keys that Kafka takes without having them in its table.
var brokerRafka = []Key{
	{Name: "rafka.data.dir", Type: List, NoDefault: true, Importance: High, Hidden: true, AliasOf: "log.dirs", Tier: Acts, Doc: "Another name of log.dirs."},
	{Name: "rafka.kafka.address", Type: String, NoDefault: true, Importance: High, Hidden: true, AliasOf: "listeners", Tier: Acts, Doc: "HOST:PORT of the one plain listener, in place of listeners; empty closes Kafka's door."},
	{Name: "rafka.grpc.address", Type: String, Default: ":50051", Importance: High, Valid: "address", Tier: Acts, Doc: "HOST:PORT of gRPC; empty closes that door."},
	{Name: "rafka.http.address", Type: String, Default: "127.0.0.1:8080", Importance: High, Valid: "address", Tier: Acts, Doc: "HOST:PORT of HTTP: metrics and health. It asks nobody for a password, so the default is reachable from this machine only; empty closes that door."},
	{Name: "rafka.pprof.enable", Type: Boolean, Default: "false", Importance: Low, Tier: Acts, Doc: "Whether HTTP serves Go's profiles at /debug/pprof/."},
	{Name: "rafka.log.level", Type: String, Default: "info", Importance: Medium, Valid: "(case insensitive) [debug, info, warn, error]", Tier: Acts, Doc: "How much the broker writes about itself."},
	{Name: "rafka.storage.engine", Type: String, Default: "seglog", Importance: High, Valid: "[seglog, memlog]", Tier: Acts, Doc: "How partitions are stored: seglog in Kafka's files, memlog in memory only."},
	{Name: "rafka.memory.request.bytes", Type: Long, Default: "268435456", Importance: High, Valid: "[1048576,...]", Tier: Acts, Doc: "Memory for requests that are being handled; when it is used up, connections are not read from."},
	{Name: "rafka.log.hot.bytes", Type: Long, Default: "268435456", Importance: High, Valid: "[1048576,...]", Tier: Acts, Doc: "Memory for the tails of partitions and for what was read from disk. Where it is not set, more than 64 MiB are filled only once something was read from disk."},
	{Name: "rafka.log.io", Type: String, Default: "direct", Importance: Medium, Valid: "[direct, buffered]", Tier: Acts, Doc: "Whether segments are written past the page cache or through it."},
	{Name: "rafka.log.journal.bytes", Type: Long, Default: "268435456", Importance: Medium, Valid: "[8388608,...]", Tier: Acts, Doc: "Disk space of the journal of one data directory, through which small appends of all partitions share one fsync."},
	{Name: "rafka.log.verify.reads", Type: Boolean, Default: "true", Importance: Medium, Tier: Acts, Doc: "Whether records that are read from disk, not from memory, are checked before they are given to anybody; damaged ones never are, and are mended from another replica. It takes a fifth of a millisecond of a processor for each MiB. Kafka leaves this to its clients."},
	{Name: "rafka.scrub.bytes.per.second", Type: Long, Default: "4194304", Importance: Medium, Valid: "[0,...]", Tier: Acts, Doc: "How much of its logs on disk the broker reads in a second to find damage, which it mends from another replica; 0: it waits until somebody reads it. Kafka has no such thing."},
	{Name: "rafka.scrub.interval.ms", Type: Long, Default: "604800000", Importance: Low, Valid: "[100,...]", Tier: Acts, Doc: "How long after the broker began to read all its logs in search of damage it begins again; at once, if that took longer. Kafka has no such thing."},
	{Name: "write.caching", Type: Boolean, Default: "false", Importance: High, Tier: Acts, Mode: ClusterWide, Doc: `Whether an ack means "in the page cache", Kafka's default, instead of "on disk".`},
	{Name: "rafka.cluster.id", Type: String, NoDefault: true, Importance: Medium, Tier: Acts, Doc: "The id that a new cluster gets and an existing one must have; without it a random one."},
	{Name: "rafka.peer.address", Type: String, Default: "", Importance: High, Valid: "address", Tier: Acts, Doc: "HOST:PORT at which other brokers reach this one; empty: it stays a cluster of one that nobody can join. It asks nobody for a password: only brokers should be able to reach it."},
	{Name: "rafka.peer.advertised.address", Type: String, Default: "", Importance: Medium, Valid: "address", Tier: Acts, Doc: "HOST:PORT that other brokers are told, where it is not rafka.peer.address itself."},
	{Name: "rafka.join", Type: List, Default: "", Importance: High, Tier: Acts, Doc: "Peer addresses (HOST:PORT) of brokers whose cluster this one joins. It may be the same list on every broker, itself included. Of no effect once the data directory belongs to a cluster."},
	{Name: "rafka.bootstrap.expect", Type: Int, Default: "0", Importance: High, Valid: "[0,...,1000]", Tier: Acts, Doc: "How many fresh brokers found a cluster together when none of rafka.join belongs to one; 0: none is founded."},
	{Name: "rafka.metadata.voters", Type: Int, Default: "3", Importance: Medium, Valid: "[1,...,5]", Tier: Acts, Doc: "How many brokers keep the cluster's metadata and vote about it. The first ones that come do, and others take the seats of those that are gone (rafka.quorum.replace.ms). The same on every broker."},
	{Name: "rafka.quorum.replace.ms", Type: Long, Default: "600000", Importance: Medium, Valid: "[1000,...]", Tier: Acts, Doc: "How long a broker that votes on the metadata may be dead before another living broker gets its vote, counted by the controller from when it found it dead. When the dead one comes back it is a broker without a vote. The same on every broker."},
	{Name: "rafka.metadata", Type: String, Default: "", Importance: High, Tier: Acts, Doc: "Where the cluster's metadata is kept: empty, in the brokers themselves; etcd://HOST:PORT,HOST:PORT/PREFIX, in an etcd that others run. It cannot be changed for a data directory that belongs to a cluster, but for the addresses."},
	{Name: "rafka.broker.lease.ms", Type: Int, Default: "1900", Importance: Medium, Valid: "[500,...,60000]", Tier: Acts, Doc: "How long a broker that is not heard of keeps its leaderships. One whose process ended loses them at once. The same on every broker."},
	{Name: "rafka.replica.silent.max.ms", Type: Long, Default: "3000", Importance: Medium, Valid: "[0,...]", Tier: Acts, Doc: "A follower whose broker has sent the leader no fetch at all for this long leaves the in-sync replicas if it lacks something, as when the link between both is cut; 0: only replica.lag.time.max.ms counts. An answer of replica.fetch.response.max.bytes must get over the link in that time."},
	{Name: "rafka.balance.enable", Type: Boolean, Default: "true", Importance: Medium, Tier: Acts, Mode: ClusterWide, Doc: "Whether replicas and leaders are evened out over the brokers by themselves, by their number and by the load. `rafka cluster rebalance --on` and `--off` set it."},
	{Name: "rafka.broker.drain", Type: Boolean, Default: "false", Importance: Medium, Tier: Acts, Mode: PerBroker, Doc: "Whether the replicas of this broker are to move to others; it gets no new ones meanwhile. `rafka cluster drain` sets it."},
	{Name: "super.users", Type: String, NoDefault: true, Importance: Medium, Hidden: true, Tier: Refused},
	{Name: "allow.everyone.if.no.acl.found", Type: Boolean, Default: "true", Importance: Medium, Hidden: true, Tier: Refused},
	{Name: "leader.replication.throttled.rate", Type: Long, Default: "9223372036854775807", Importance: Medium, Valid: "[0,...]", Mode: PerBroker, Hidden: true, Tier: Acts, Doc: "How much the broker gives to followers, in bytes a second, of replicas that their topic names as throttled (leader.replication.throttled.replicas) and that are not in sync."},
	{Name: "follower.replication.throttled.rate", Type: Long, Default: "9223372036854775807", Importance: Medium, Valid: "[0,...]", Mode: PerBroker, Hidden: true, Tier: Acts, Doc: "How much the broker copies from leaders, in bytes a second, of replicas that their topic names as throttled (follower.replication.throttled.replicas) and that are not in sync."},
	{Name: "replica.alter.log.dirs.io.max.bytes.per.second", Type: Long, Default: "9223372036854775807", Importance: Medium, Valid: "[0,...]", Mode: PerBroker, Hidden: true, Tier: Planned},
}

// topicRafka are Rafka's own keys of a topic, and those of other brokers that people bring along.
var topicRafka = []Key{
	{Name: "rafka.balance.enable", Type: Boolean, Default: "true", Importance: Medium, Tier: Acts, Broker: []string{"rafka.balance.enable"}, Doc: "Whether the topic's replicas and leaders are evened out by themselves. Whoever reassigns partitions of a topic turns it off for the topic, so that what was placed by hand stays."},
	{Name: "rafka.compaction.strategy", Type: String, Default: "keep_latest", Importance: Medium, Valid: "[keep_latest, time_window, hybrid]", Tier: Acts, Doc: "What compaction keeps: the latest record of each key; what is younger than the window; or the latest of each key within the window."},
	{Name: "rafka.compaction.window.ms", Type: Long, Default: "604800000", Importance: Medium, Valid: "[1,...]", Tier: Acts, Doc: "The window of the strategies time_window and hybrid."},
	{Name: "rafka.delivery.delay.enable", Type: Boolean, Default: "false", Importance: Medium, Tier: Acts, Doc: "Whether records may ask to be delivered later, with a header rafka-deliver-at or rafka-delay-ms; the broker then looks into every batch."},
	{Name: "rafka.delivery.max.pending", Type: Int, Default: "1000000", Importance: Low, Valid: "[1,...,3000000]", Tier: Acts, Doc: "How many records of one partition may wait for their time; beyond it producers are told to try again later."},
	{Name: "rafka.partitions.bytes.per.second", Type: Long, Default: "10485760", Importance: Low, Valid: "[1024,...]", Tier: Acts, Doc: "How much each partition of a topic that may grow (rafka.partitions.max) takes, on the average of a minute, before the topic gets more of them."},
	{Name: "rafka.partitions.max", Type: Int, Default: "0", Importance: Medium, Valid: "[0,...,10000]", Tier: Acts, Doc: "To how many partitions the topic may grow by itself when what is written to it asks for it; 0: it does not. It doubles at most at a time. Records of a key go to another partition afterwards, so their order over that moment is not kept; compacted topics are refused."},
	{Name: "write.caching", Type: Boolean, Default: "false", Importance: Medium, Tier: Acts, Broker: []string{"write.caching"}, Doc: `Whether an ack means "in the page cache", Kafka's default, instead of "on disk".`},
	{Name: "retention.local.target.bytes", Type: Long, NoDefault: true, Importance: Low, Hidden: true, AliasOf: "local.retention.bytes", Tier: Planned},
	{Name: "retention.local.target.ms", Type: Long, NoDefault: true, Importance: Low, Hidden: true, AliasOf: "local.retention.ms", Tier: Planned},
	{Name: "redpanda.remote.read", Type: Boolean, NoDefault: true, Importance: Low, Hidden: true, Tier: Planned},
	{Name: "redpanda.remote.write", Type: Boolean, NoDefault: true, Importance: Low, Hidden: true, Tier: Planned},
	{Name: "redpanda.iceberg.mode", Type: String, NoDefault: true, Importance: Low, Hidden: true, Tier: Planned},
	{Name: "redpanda.key.schema.id.validation", Type: Boolean, NoDefault: true, Importance: Low, Hidden: true, Tier: Planned},
	{Name: "redpanda.value.schema.id.validation", Type: Boolean, NoDefault: true, Importance: Low, Hidden: true, Tier: Planned},
	{Name: "redpanda.key.subject.name.strategy", Type: String, NoDefault: true, Importance: Low, Hidden: true, Tier: Planned},
	{Name: "redpanda.value.subject.name.strategy", Type: String, NoDefault: true, Importance: Low, Hidden: true, Tier: Planned},
	{Name: "confluent.key.schema.validation", Type: Boolean, NoDefault: true, Importance: Low, Hidden: true, Tier: Planned},
	{Name: "confluent.value.schema.validation", Type: Boolean, NoDefault: true, Importance: Low, Hidden: true, Tier: Planned},
	{Name: "confluent.key.subject.name.strategy", Type: String, NoDefault: true, Importance: Low, Hidden: true, Tier: Planned},
	{Name: "confluent.value.subject.name.strategy", Type: String, NoDefault: true, Importance: Low, Hidden: true, Tier: Planned},
	{Name: "bufstream.validate.mode", Type: String, NoDefault: true, Importance: Low, Hidden: true, Tier: Planned},
}

// groupRafka are Rafka's own keys of a share group: what queues have and Kafka's share groups do not.
var groupRafka = []Key{
	{Name: "share.ordering", Type: String, Default: "none", Importance: Medium, Valid: "[none, key]", Tier: Acts, Doc: "key: no two records of one key are with consumers at once, and a key's records are delivered in order."},
	{Name: "share.retry.backoff.ms", Type: Long, Default: "0", Importance: Medium, Valid: "[0,...]", Tier: Acts, Doc: "How long a record rests that was released or whose lock ran out; 0: it is given to the next who asks."},
	{Name: "share.retry.backoff.multiplier", Type: Double, Default: "2.0", Importance: Medium, Valid: "[1,...]", Tier: Acts, Doc: "How many times longer a record rests after each further delivery."},
	{Name: "share.retry.backoff.max.ms", Type: Long, Default: "60000", Importance: Medium, Valid: "[0,...]", Tier: Acts, Doc: "The longest that a record rests between two deliveries."},
	{Name: "share.redelivery.priority", Type: String, Default: "high", Importance: Medium, Valid: "[high, low]", Tier: Acts, Doc: "high: records to be delivered again go before new ones, as in Kafka; low: after them."},
}

// clientMetricsKeys are the keys of a client metrics subscription (KIP-714).
var clientMetricsKeys = []Key{
	{Name: "interval.ms", Type: Int, Default: "300000", Importance: Medium, Valid: "[100,...,3600000]", Tier: Planned},
	{Name: "match", Type: List, Default: "", Importance: Medium, Tier: Planned},
	{Name: "metrics", Type: List, Default: "", Importance: Medium, Tier: Planned},
}
