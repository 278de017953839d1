package clients

import (
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/testbin"
)

// kafkaVersion is the release whose tools are fetched when none are there. Not older than the protocol that we speak, as far as it is out.
const kafkaVersion = "4.3.1"

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>io.rafka</groupId><artifactId>kafka-tools-for-tests</artifactId><version>1</version>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>` + kafkaVersion + `</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>` + kafkaVersion + `</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-streams</artifactId><version>` + kafkaVersion + `</version></dependency>
</dependencies>
</project>
`

// fetching lets one test at a time look for Kafka's jars and fetch them.
var fetching sync.Mutex

// kafkaTools is the class path of Kafka's command line tools; the test is skipped without.
func kafkaTools(t *testing.T) string {
	t.Helper()
	need(t, "java")
	if cp := os.Getenv("RAFKA_KAFKA_CLASSPATH"); cp != "" {
		return cp
	}
	need(t, "mvn")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("no place for Kafka's jars: %v; set RAFKA_KAFKA_CLASSPATH", err)
	}
	dir := filepath.Join(cache, "rafka-test-clients", fmt.Sprintf("%s-%08x", kafkaVersion, crc32.ChecksumIEEE([]byte(pom))))
	list := filepath.Join(dir, "classpath.txt")
	fetching.Lock()
	defer fetching.Unlock()
	if cp, err := os.ReadFile(list); err == nil {
		return string(cp)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Skipf("no place for Kafka's jars: %v; set RAFKA_KAFKA_CLASSPATH", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pom.xml"), []byte(pom), 0o644); err != nil {
		t.Fatal(err)
	}
	part := list + ".part"
	fetch(t, "Kafka's tools (or set RAFKA_KAFKA_CLASSPATH)", "mvn", "-q", "-B", "-f", filepath.Join(dir, "pom.xml"), "dependency:build-classpath", "-Dmdep.outputFile="+part)
	if err := os.Rename(part, list); err != nil {
		t.Fatal(err)
	}
	cp, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	return string(cp)
}

// tools runs Kafka's tools against one broker.
type tools struct {
	t         *testing.T
	classpath string
	addr      string
}

// in runs a tool's main class with input and --bootstrap-server; it must succeed. It returns all that the tool wrote.
func (k tools) in(input, class string, args ...string) string {
	k.t.Helper()
	return k.java(input, class, append([]string{"--bootstrap-server", k.addr}, args...)...)
}

func (k tools) java(input, class string, args ...string) string {
	k.t.Helper()
	all := append([]string{"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", k.classpath, class}, args...)
	out, ok := run(k.t, 4*time.Minute, input, "java", all...)
	if !ok {
		k.t.Fatalf("%s %s failed:\n%s", class, strings.Join(args, " "), tail(out))
	}
	return out
}

// has checks that an output has a match of each expression in its lines.
func (k tools) has(out string, expressions ...string) {
	k.t.Helper()
	for _, e := range expressions {
		if !regexp.MustCompile("(?m)" + e).MatchString(out) {
			k.t.Errorf("no match of %s in:\n%s", e, tail(out))
		}
	}
}

const pkg = "org.apache.kafka.tools."

func TestKafkaToolsManageTopics(t *testing.T) {
	classpath := kafkaTools(t)
	srv := serve(t)
	k := tools{t, classpath, srv.Kafka}
	k.has(k.in("", pkg+"TopicCommand", "--create", "--topic", "made", "--partitions", "3", "--replication-factor", "1", "--config", "retention.ms=3600000"), `Created topic made\.`)
	k.has(k.in("", pkg+"TopicCommand", "--describe", "--topic", "made"),
		`Topic: made\s+TopicId: \S{22}\s+PartitionCount: 3\s+ReplicationFactor: 1\s+Configs: retention\.ms=3600000`, `Partition: 2\s+Leader: [123]\s+Replicas: [123]\s+Isr: [123]`)
	k.in("", pkg+"TopicCommand", "--alter", "--topic", "made", "--partitions", "4")
	k.in("", "kafka.admin.ConfigCommand", "--entity-type", "topics", "--entity-name", "made", "--alter", "--add-config", "max.message.bytes=2097152")
	k.has(k.in("", "kafka.admin.ConfigCommand", "--entity-type", "topics", "--entity-name", "made", "--describe", "--all"),
		`max\.message\.bytes=2097152 sensitive=false synonyms=\{DYNAMIC_TOPIC_CONFIG:max\.message\.bytes=2097152`, `retention\.ms=3600000`, `cleanup\.policy=delete`)
	k.has(k.in("", "kafka.admin.ConfigCommand", "--entity-type", "brokers", "--entity-name", "1", "--describe", "--all"), `num\.partitions=`, `message\.max\.bytes=`)
	k.in("", pkg+"TopicCommand", "--delete", "--topic", "made")
	if out := k.in("", pkg+"TopicCommand", "--list"); regexp.MustCompile(`(?m)^made$`).MatchString(out) {
		t.Errorf("the topic is still there:\n%s", out)
	}
}

func TestKafkaToolsDescribeTheCluster(t *testing.T) {
	classpath := kafkaTools(t)
	srv := serve(t)
	k := tools{t, classpath, srv.Kafka}
	k.has(k.in("", pkg+"BrokerApiVersionsCommand"), `Produce\(0\): 0 to 13 \[usable: 13\]`, `Fetch\(1\): 4 to 18 \[usable: 18\]`, `CreateTopics\(19\): 2 to 7`)
	k.has(k.in("", pkg+"FeatureCommand", "describe"), `Feature: metadata\.version\s+SupportedMinVersion: \S+\s+SupportedMaxVersion: \S+\s+FinalizedVersionLevel: \S+`)
	k.has(k.java("", pkg+"ClusterTool", "cluster-id", "--bootstrap-server", srv.Kafka), `Cluster ID: \S{22}`)
}

// Records through the Java producers and the console consumer, which reads one partition and joins no group.
func TestKafkaToolsProduceAndConsume(t *testing.T) {
	classpath := kafkaTools(t)
	srv := serve(t)
	k := tools{t, classpath, srv.Kafka}
	for _, z := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		k.in(numbered("h:1\tkey\t"+z, 100), pkg+"ConsoleProducer", "--topic", "lines", "--compression-codec", z, "--reader-property", "parse.key=true", "--reader-property", "parse.headers=true")
	}
	out := k.in("", pkg+"consumer.ConsoleConsumer", "--topic", "lines", "--partition", "0", "--offset", "earliest", "--max-messages", "500", "--timeout-ms", "30000",
		"--formatter-property", "print.key=true", "--formatter-property", "print.headers=true", "--formatter-property", "print.offset=true")
	k.has(out, `^Offset:0\th:1\tkey\tnone-0$`, `^Offset:399\th:1\tkey\tlz4-99$`, `^Offset:499\th:1\tkey\tzstd-99$`, `Processed a total of 500 messages`)
	for code, n := range stored(t, srv.Kafka, "lines", 500) {
		if n != 100 {
			t.Errorf("%d records are stored with codec %d", n, code)
		}
	}
	k.has(k.in("", pkg+"ProducerPerformance", "--topic", "perf", "--num-records", "20000", "--record-size", "200", "--throughput", "-1", "--command-property", "acks=all"), `^20000 records sent`)
	if out := k.in("", pkg+"VerifiableProducer", "--topic", "verified", "--max-messages", "500", "--acks", "-1"); strings.Count(out, `"producer_send_success"`) != 500 {
		t.Errorf("not 500 successes:\n%s", tail(out))
	}
}

func TestKafkaToolsAskForOffsetsAndDeleteRecords(t *testing.T) {
	classpath := kafkaTools(t)
	srv := serve(t)
	k := tools{t, classpath, srv.Kafka}
	k.in(numbered("m", 10), pkg+"ConsoleProducer", "--topic", "ten")
	for at, want := range map[string]string{"earliest": `^ten:0:0$`, "latest": `^ten:0:10$`, "max-timestamp": `^ten:0:\d$`, "earliest-local": `^ten:0:0$`, "0": `^ten:0:0$`} {
		k.has(k.in("", pkg+"GetOffsetShell", "--topic", "ten", "--time", at), want)
	}
	plan := filepath.Join(t.TempDir(), "delete.json")
	if err := os.WriteFile(plan, []byte(`{"partitions": [{"topic": "ten", "partition": 0, "offset": 6}], "version": 1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	k.has(k.in("", pkg+"DeleteRecordsCommand", "--offset-json-file", plan), `partition: ten-0\s+low_watermark: 6`)
	k.has(k.in("", pkg+"GetOffsetShell", "--topic", "ten", "--time", "earliest"), `^ten:0:6$`)
	k.has(k.in("", pkg+"LogDirsCommand", "--describe", "--topic-list", "ten"), `"partition":"ten-0","size":[1-9]`)
}

// Kafka's dump tool must read what we wrote: segments, and indexes that agree with them, once the broker has stopped.
func TestKafkaDumpsOurSegments(t *testing.T) {
	classpath := kafkaTools(t)
	need(t, "kcat")
	srv, dir := serveAlone(t, "--set", "log.index.interval.bytes=1024", "--set", "log.segment.bytes=1048576")
	const each, rounds = 500, 40
	for range rounds {
		for _, z := range codecs {
			kcat(t, srv.Kafka, numbered(strings.Repeat("a line of "+z.name+" ", 4), each), "-P", "-t", "dumped", "-p", "0", "-z", z.name)
		}
	}
	if _, code := srv.Stop(t); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, srv.Log())
	}
	checkDump(t, tools{t: t, classpath: classpath}, filepath.Join(dir, "dumped-0"), each*rounds*len(codecs))
	again := testbin.Start(t, "--data-dir", dir, "--kafka-addr", "127.0.0.1:0", "--http-addr", "", "--grpc-addr", "", "--log-level", "warn")
	stored(t, again.Kafka, "dumped", each*rounds*len(codecs))
}

func checkDump(t *testing.T, k tools, dir string, records int) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(segments) < 2 {
		t.Fatalf("segments %v, %v: there must be several", segments, err)
	}
	indexes, err := filepath.Glob(filepath.Join(dir, "*index"))
	if err != nil || len(indexes) != 2*len(segments) {
		t.Fatalf("%d segments have indexes %v, %v", len(segments), indexes, err)
	}
	out := k.java("", pkg+"DumpLogSegments", "--files", strings.Join(segments, ","), "--print-data-log")
	if n := strings.Count(out, "| offset: "); n != records {
		t.Errorf("the dump has %d records of %d", n, records)
	}
	out += k.java("", pkg+"DumpLogSegments", "--files", strings.Join(indexes, ","))
	for _, complaint := range []string{"Mismatches in", "Found timestamp mismatch", "Found out of order timestamp", "isvalid: false", "invalid bytes", "Corrupt", "Exception", "Index offset:"} {
		if at := strings.Index(out, complaint); at >= 0 {
			t.Errorf("the dump complains: %s", tail(out[at:min(at+500, len(out))]))
		}
	}
	k.has(k.java("", pkg+"DumpLogSegments", "--files", strings.Join(indexes, ","), "--index-sanity-check"), `0\.index passed sanity check`, `0\.timeindex passed sanity check`)
}
