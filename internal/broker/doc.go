// Package broker is the verbs that all doors share: Produce, Fetch, CreateTopics and so on. A door decodes, calls one verb, encodes.
// It calls partition (through replica), the coordinators (through coordinator.Runtime), queue, txnmarker, the controller, config and the policies;
// doors call it.
//
// What holds:
//
//	BRK-1  Partitions of a request succeed or fail on their own.
//	BRK-2  Verbs are door-free.
//	BRK-3  A verb that waits gives an Await; it never blocks its caller. Two waits are inside Produce: the engine's back-pressure, by
//	       which a connection whose data comes faster than the disk takes it is held up, and that of the first batch of a transaction
//	       in a partition for the transaction's coordinator, at most the request's own time.
//	BRK-4  Records that were fetched and not released stay within FetchBytes for consumers, and again for followers, but for the last
//	       batch of each that were read at the same moment; who finds no room waits, and is answered without records after the time it
//	       was willing to wait.
//	REP-4  Who fetches as a replica is a broker that is alive, in the registration that it names, and came by the peer port; anybody
//	       else who names a replica id reads nothing, and the leader learns nothing of it.
//
// Goroutines: one of StreamsTopics, which ends with it; a few of ClusterTransactions for each broker that is being asked, ended by its Close; those of
// an AddPartitionsToTxn about many transactions, ended with it. A produce request allocates its results and nothing else: the
// rest of it is one pooled Await.
//
// How it is tested: verbs over a storage engine in memory whose durability the test decides, on a fake clock where time matters
// (testing/synctest); doors over brokertest, a small broker in memory; benchmarks that count allocations.
//
// Files: broker.go, session.go, await.go and lookup.go; one file for each data verb (produce.go with produce_await.go, fetch.go with
// fetch_await.go, fetch_follower.go and fetch_closest.go, following.go for the sessions of followers, await_role.go for requests that come before the metadata, list_offsets.go ...); admin.go with topics_*.go, configs_*.go, elections.go,
// reassignments.go, features.go, unregister_broker.go and quorum.go for the administrative verbs; coordinators.go (who coordinates what, and
// the internal topics), groups*.go for groups, streams_topics.go for the topics that streams groups want created, txn*.go
// with produce_txn.go and init_producer_id.go for transactions (txn_elsewhere.go and txn_questions.go: those that other brokers coordinate), share_*.go for share groups, describe_producers.go; publish.go, tail.go,
// committed.go and their companions for doors whose clients send and read single messages.
package broker
