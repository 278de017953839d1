package config

import (
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
)

// The error texts are Kafka's, which its tools show to people and some programs compare.
func TestErrorTextsAreKafkas(t *testing.T) {
	for _, tc := range []struct {
		scope       Scope
		name, value string
		want        string
	}{
		{Topic, "retention.ms", "abc", "Invalid value abc for configuration retention.ms: Not a number of type LONG"},
		{Topic, "retention.ms", " -1 ", ""},
		{Topic, "retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"},
		{Topic, "retention.ms", "9223372036854775808", "Invalid value 9223372036854775808 for configuration retention.ms: Not a number of type LONG"},
		{Topic, "no.such.config", "1", "Unknown topic config name: no.such.config"},
		{Topic, "cleanup.policy", "compact,delete", ""},
		{Topic, "cleanup.policy", "compact , delete", ""},
		{Topic, "cleanup.policy", "", ""},
		{Topic, "cleanup.policy", "keep", "Invalid value keep for configuration cleanup.policy: String must be one of: compact, delete"},
		{Topic, "cleanup.policy", "delete,delete", "Invalid value delete,delete for configuration cleanup.policy: Configuration values must not be duplicated."},
		{Topic, "cleanup.policy", "delete,", "Invalid value delete, for configuration cleanup.policy: Configuration values must not contain empty elements."},
		{Topic, "compression.gzip.level", "-1", ""},
		{Topic, "compression.gzip.level", "0", "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"},
		{Topic, "compression.lz4.level", "18", "Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17"},
		{Topic, "compression.type", "none", "Invalid value none for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"},
		{Topic, "preallocate", "TRUE", ""},
		{Topic, "preallocate", "yes", "Invalid value yes for configuration preallocate: Expected value to be either true or false"},
		{Topic, "min.cleanable.dirty.ratio", "1.1", "Invalid value 1.1 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"},
		{Topic, "min.cleanable.dirty.ratio", "NaN", "Invalid value NaN for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE"},
		{Topic, "segment.bytes", "1048575", "Invalid value 1048575 for configuration segment.bytes: Value must be at least 1048576"},
		{Topic, "leader.replication.throttled.replicas", "*", ""},
		{Topic, "leader.replication.throttled.replicas", "0:1,1:2", ""},
		{Topic, "leader.replication.throttled.replicas", "0:1,1", "Invalid value 0:1,1 for configuration leader.replication.throttled.replicas: the value must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."},
		{Topic, "remote.storage.enable", "false", ""},
		{Topic, "remote.storage.enable", "true", "Invalid value true for configuration remote.storage.enable: Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."},
		{Topic, "rafka.compaction.strategy", "hybrid", ""},
		{Group, "share.auto.offset.reset", "by_duration:P1DT2H3.5S", ""},
		{Group, "share.auto.offset.reset", "by_duration:PT", "Invalid value by_duration:PT for configuration share.auto.offset.reset: String must be one of: latest, earliest, by_duration:PnDTnHnMn.nS"},
		{Group, "no.such", "", "Unknown group config name: no.such"},
		{Broker, "authorizer.class.name", "", ""},
		{Broker, "authorizer.class.name", "org.example.A", "Invalid value org.example.A for configuration authorizer.class.name: this release has no access control, and starting without it would be a surprise"},
		{Broker, "create.topic.policy.class.name", "org.example.P", "Invalid value org.example.P for configuration create.topic.policy.class.name: Java classes cannot be loaded"},
		{Broker, "zookeeper.connect", "localhost:2181", "Unknown broker config name: zookeeper.connect (there is no ZooKeeper: the metadata lives in the brokers)"},
		{ClientMetrics, "interval.ms", "99", "Invalid value 99 for configuration interval.ms: Value must be at least 100"},
	} {
		err := Validate(tc.scope, tc.name, tc.value)
		if tc.want == "" {
			if err != nil {
				t.Errorf("%s=%s: %v", tc.name, tc.value, err)
			}
			continue
		}
		if err == nil || err.Error() != tc.want || kafka.CodeOf(err) != kafka.InvalidConfig {
			t.Errorf("%s=%s:\n got %v\nwant %s", tc.name, tc.value, err, tc.want)
		}
	}
}

func TestDynamicChangesObeyTheMode(t *testing.T) {
	for _, tc := range []struct {
		name, value string
		cluster     bool
		want        string
	}{
		{"log.retention.ms", "1", true, ""},
		{"log.retention.ms", "1", false, ""},
		{"log.retention.ms", "x", false, "Not a number"},
		{"num.partitions", "3", true, "Cannot update these configs dynamically: [num.partitions]"},
		{"advertised.listeners", "PLAINTEXT://h:1", true, "broker id must be specified"},
		{"advertised.listeners", "PLAINTEXT://h:1", false, ""},
		{"rafka.data.dir", "/x", false, "Cannot update"},
		{"no.such", "", false, "Unknown broker config name: no.such"},
	} {
		err := ValidateDynamic(tc.name, tc.value, tc.cluster)
		if (err == nil) != (tc.want == "") || err != nil && (!strings.Contains(err.Error(), tc.want) || kafka.CodeOf(err) != kafka.InvalidConfig) {
			t.Errorf("%s=%s cluster %v: %v, want %q", tc.name, tc.value, tc.cluster, err, tc.want)
		}
	}
}

func TestSettingsThatContradictEachOther(t *testing.T) {
	if err := ValidateAll(Topic, map[string]string{"min.compaction.lag.ms": "5", "max.compaction.lag.ms": "5"}); err != nil {
		t.Error(err)
	}
	if err := ValidateAll(Topic, map[string]string{"min.compaction.lag.ms": "6", "max.compaction.lag.ms": "5"}); kafka.CodeOf(err) != kafka.InvalidConfig {
		t.Error(err)
	}
	if err := ValidateAll(Group, map[string]string{"share.isolation.level": "none"}); kafka.CodeOf(err) != kafka.InvalidConfig {
		t.Error(err)
	}
}

func TestSuggest(t *testing.T) {
	for _, tc := range []struct {
		scope      Scope
		name, want string
	}{
		{Broker, "log.retention.hour", "log.retention.hours"},
		{Broker, "log_retention_hours", "log.retention.hours"},
		{Broker, "Num.Partitons", "num.partitions"},
		{Broker, "retention.ms", "log.retention.ms"},
		{Broker, "something.else.altogether", ""},
		{Topic, "cleanup.polciy", "cleanup.policy"},
		{Topic, "", ""},
	} {
		if got := Suggest(tc.scope, tc.name); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// CFG-5: no message has a secret in it.
func TestSecretsStayOutOfMessages(t *testing.T) {
	_, notices, err := Load(Sources{
		Files: []File{{"a.yaml", []byte("ssl.key.password: s3cret\nssl.keystore.key: \"s3cret\nx")}, {"b.properties", []byte("sasl.jaas.config=s3cret\nssl.keystore.pasword=s3cret\n")}},
		Env:   []string{"KAFKA_SSL_TRUSTSTORE_PASSWORD=s3cret", "HOME=/home/u"},
		Flags: []string{"ssl.key.password=s3cret"},
	})
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Error(err)
	}
	s, notices2, err := Load(Sources{Flags: []string{"ssl.key.password=s3cret", "log.dirs=/x"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range append(notices, notices2...) {
		if strings.Contains(n.Text, "s3cret") {
			t.Error(n.Text)
		}
	}
	l := Layers{Static: s}
	e, _ := l.Effective(Broker, "ssl.key.password")
	if e.Value != nil || e.Source != SourceStatic || len(e.Synonyms) != 1 || e.Synonyms[0].Value != nil {
		t.Errorf("%+v", e)
	}
	if s.String("ssl.key.password") != "s3cret" {
		t.Error("the broker itself needs it")
	}
}
