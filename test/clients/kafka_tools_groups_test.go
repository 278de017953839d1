package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const groups = pkg + "consumer.group."

// consume reads n records with the console consumer as a member of a group.
func (k tools) consume(topic, group, n string, more ...string) string {
	k.t.Helper()
	return k.in("", pkg+"consumer.ConsoleConsumer", append([]string{"--topic", topic, "--group", group, "--from-beginning", "--max-messages", n, "--timeout-ms", "30000"}, more...)...)
}

// The tools read with groups of both protocols, see what the groups have, move their offsets and delete them.
func TestKafkaToolsManageGroups(t *testing.T) {
	t.Parallel()
	classpath := kafkaTools(t)
	srv := serve(t, quickGroups...)
	k := tools{t, classpath, srv.Kafka}
	k.in(numbered("m", 10), pkg+"ConsoleProducer", "--topic", "ten")
	k.has(k.consume("ten", "old", "10", "--command-property", "group.protocol=classic"), `^m-0$`, `^m-9$`, `Processed a total of 10 messages`)
	k.has(k.consume("ten", "new", "10", "--command-property", "group.protocol=consumer"), `^m-0$`, `^m-9$`, `Processed a total of 10 messages`)
	k.has(k.in("", pkg+"GroupsCommand", "--list"), `^old\s+Classic\s+consumer`, `^new\s+Consumer\s+consumer`)
	for _, group := range []string{"old", "new"} {
		k.has(k.in("", groups+"ConsumerGroupCommand", "--describe", "--group", group), `has no active members`, `^`+group+`\s+ten\s+0\s+10\s+10\s+0\s+-`)
		k.has(k.in("", groups+"ConsumerGroupCommand", "--group", group, "--reset-offsets", "--topic", "ten", "--to-offset", "4", "--execute"), `^`+group+`\s+ten\s+0\s+4$`)
	}
	k.has(k.consume("ten", "old", "6"), `^m-4$`, `Processed a total of 6 messages`)
	k.has(k.in("", groups+"ConsumerGroupCommand", "--delete-offsets", "--group", "new", "--topic", "ten"), `Successful`)
	k.has(k.in("", groups+"ConsumerGroupCommand", "--delete", "--group", "old"), `was successful`)
	k.has(k.in("", pkg+"VerifiableProducer", "--topic", "verified", "--max-messages", "200", "--acks", "-1"), `"producer_send_success"`)
	k.has(k.in("", pkg+"VerifiableConsumer", "--topic", "verified", "--group-id", "verifiers", "--group-protocol", "consumer", "--reset-policy", "earliest", "--max-messages", "200"),
		`"name":"partitions_assigned"`, `"name":"offsets_committed".*"success":true`)
	k.in("", pkg+"streams.StreamsGroupCommand", "--list")
}

func TestKafkaToolsManageQueues(t *testing.T) {
	t.Parallel()
	classpath := kafkaTools(t)
	srv := serve(t, quickGroups...)
	k := tools{t, classpath, srv.Kafka}
	k.in("", "kafka.admin.ConfigCommand", "--alter", "--group", "workers", "--add-config", "share.auto.offset.reset=earliest")
	k.in(numbered("job", 10), pkg+"ConsoleProducer", "--topic", "jobs")
	k.has(k.in("", pkg+"consumer.ConsoleShareConsumer", "--topic", "jobs", "--group", "workers", "--max-messages", "10", "--timeout-ms", "30000"), `^job-0$`, `^job-9$`)
	k.has(k.in("", groups+"ShareGroupCommand", "--list"), `^workers`)
	k.has(k.in("", groups+"ShareGroupCommand", "--describe", "--group", "workers"), `^workers\s+jobs\s+0\s+10\s+0`)
	k.has(k.in("", groups+"ShareGroupCommand", "--reset-offsets", "--group", "workers", "--topic", "jobs", "--to-earliest", "--execute"), `^workers\s+jobs\s+0\s+0$`)
	k.has(k.in("", pkg+"VerifiableShareConsumer", "--topic", "jobs", "--group-id", "workers", "--max-messages", "10"), `"name":"records_consumed"`, `"name":"offsets_acknowledged"`)
	k.has(k.in("", groups+"ShareGroupCommand", "--delete-offsets", "--group", "workers", "--topic", "jobs"), `Successful`)
	k.has(k.in("", groups+"ShareGroupCommand", "--delete", "--group", "workers"), `successful`)
}

// Kafka's decoders read our internal topics: they are Kafka's, record by record.
func TestKafkaToolsSeeTransactionsAndReadOurInternalTopics(t *testing.T) {
	t.Parallel()
	classpath := kafkaTools(t)
	srv, dir := serveAlone(t, quickGroups...)
	k := tools{t, classpath, srv.Kafka}
	k.has(k.in("", pkg+"ProducerPerformance", "--topic", "paid", "--num-records", "500", "--record-size", "50", "--throughput", "-1",
		"--transactional-id", "payer", "--transaction-duration-ms", "20"), `^500 records sent`)
	k.has(k.consume("paid", "readers", "500", "--isolation-level", "read_committed", "--command-property", "group.protocol=consumer"), `Processed a total of 500 messages`)
	k.has(k.in("", pkg+"TransactionsCommand", "list"), `^payer\s+\d+\s+\d+\s+CompleteCommit`)
	k.has(k.in("", pkg+"TransactionsCommand", "describe", "--transactional-id", "payer"), `CompleteCommit`)
	k.has(k.in("", pkg+"TransactionsCommand", "describe-producers", "--topic", "paid", "--partition", "0"), `^\d+\s+\d+`)
	k.in("", pkg+"TransactionsCommand", "find-hanging", "--broker-id", "1")
	k.in("", "kafka.admin.ConfigCommand", "--alter", "--group", "workers", "--add-config", "share.auto.offset.reset=earliest")
	k.in("", pkg+"consumer.ConsoleShareConsumer", "--topic", "paid", "--group", "workers", "--max-messages", "500", "--timeout-ms", "30000")
	if _, code := srv.Stop(t); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, srv.Log())
	}
	for _, c := range []struct {
		topic, decoder string
		want           []string
	}{
		{"__consumer_offsets", "--offsets-decoder", []string{
			`key: \{"type":"1","data":\{"group":"readers","topic":"paid","partition":0\}\} payload: \{"version":"4","data":\{"offset":\d+`,
			`key: \{"type":"3","data":\{"groupId":"readers"\}\} payload: \{"version":"0","data":\{"epoch":1,`,
			`key: \{"type":"5",.*"subscribedTopicNames":\["paid"\]`,
			`key: \{"type":"11","data":\{"groupId":"workers"\}\}`,
		}},
		{"__transaction_state", "--transaction-log-decoder", []string{
			`key: \{"type":"0","data":\{"transactionalId":"payer"\}\} payload: \{"version":"1","data":\{"producerId":\d+.*"transactionPartitions":\[\{"topic":"paid","partitionIds":\[0\]\}\]`}},
		{"__share_group_state", "--share-group-state-decoder", []string{
			`key: \{"type":"0","data":\{"groupId":"workers","topicId":"\S{22}","partition":0\}\} payload: \{"version":"\d+","data":\{"snapshotEpoch":0,`}},
	} {
		segments, err := filepath.Glob(filepath.Join(dir, c.topic+"-*", "*.log"))
		if err != nil || len(segments) == 0 {
			entries, _ := os.ReadDir(dir)
			t.Fatalf("no segments of %s in %v, %v", c.topic, entries, err)
		}
		out := k.java("", pkg+"DumpLogSegments", c.decoder, "--files", strings.Join(segments, ","))
		k.has(out, c.want...)
		for _, complaint := range []string{"unknown", "Unknown", "Could not", "Exception", "invalid"} {
			if strings.Contains(out, complaint) {
				t.Errorf("the dump of %s has %q: %s", c.topic, complaint, tail(out))
			}
		}
	}
}
