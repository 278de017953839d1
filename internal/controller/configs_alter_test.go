package controller_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
)

func value(s string) *string { return &s }

// configEnv is a node without dynamic or static settings.
func configEnv() *controller.Env {
	return &controller.Env{
		Partitions: 1, Replication: 1, NewTopicID: kafka.NewUUID,
		Inherited: func(_ *metadata.Image, _ metadata.Resource, name string) string {
			if key, known := config.Lookup(config.Topic, name); known {
				return key.Default
			}
			return ""
		},
	}
}

// configured has broker 1 and topic t with two settings.
func configured(t testing.TB) *metadata.Image {
	t.Helper()
	one := []metadata.PartitionRun{{Count: 1, Partition: metadata.Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}}}
	topic := metadata.Resource{Type: metadata.ResourceTopic, Name: "t"}
	img, _, err := metadata.Fold(metadata.Empty(), []metadata.Record{
		&metadata.BrokerRecord{Broker: metadata.Broker{ID: 1}},
		&metadata.TopicRecord{ID: kafka.UUID{1}, Name: "t", Partitions: one},
		&metadata.ConfigRecord{Resource: topic, Name: "retention.ms", Value: value("1000")},
		&metadata.ConfigRecord{Resource: topic, Name: "preallocate", Value: value("true")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// change is like retention.ms=5, retention.ms- (delete), cleanup.policy+=compact, cleanup.policy-=delete, retention.ms=nil.
func change(s string) controller.ConfigChange {
	for _, o := range []struct {
		sign string
		op   controller.ConfigOp
	}{{"+=", controller.OpAppend}, {"-=", controller.OpSubtract}, {"=", controller.OpSet}} {
		if name, v, ok := strings.Cut(s, o.sign); ok {
			if v == "nil" {
				return controller.ConfigChange{Name: name, Op: o.op}
			}
			return controller.ConfigChange{Name: name, Op: o.op, Value: &v}
		}
	}
	return controller.ConfigChange{Name: strings.TrimSuffix(s, "-"), Op: controller.OpDelete}
}

// Every change of settings with its result, or with Kafka's code and words.
func TestAlterConfigs(t *testing.T) {
	topic := metadata.Resource{Type: metadata.ResourceTopic, Name: "t"}
	broker, all := metadata.Resource{Type: metadata.ResourceBroker, Name: "1"}, metadata.Resource{Type: metadata.ResourceBroker}
	group := metadata.Resource{Type: metadata.ResourceGroup, Name: "g"}
	for _, c := range []struct {
		resource metadata.Resource
		changes  string // before "replace ": AlterConfigs
		want     string
	}{
		{topic, "retention.ms=5", "preallocate=true retention.ms=5"},
		{topic, "retention.ms-", "preallocate=true"},
		{topic, "retention.ms- preallocate-", ""},
		{topic, "segment.ms-", "preallocate=true retention.ms=1000"},
		{topic, "never.heard.of-", "preallocate=true retention.ms=1000"},
		{topic, "cleanup.policy+=compact", "cleanup.policy=delete,compact preallocate=true retention.ms=1000"},
		{topic, "cleanup.policy+=delete", "cleanup.policy=delete preallocate=true retention.ms=1000"},
		{topic, "cleanup.policy-=delete", "cleanup.policy= preallocate=true retention.ms=1000"},
		{topic, "leader.replication.throttled.replicas+=1:1,2:1", "leader.replication.throttled.replicas=1:1,2:1 preallocate=true retention.ms=1000"},
		{topic, "replace segment.ms=7", "segment.ms=7"},
		{topic, "replace", ""},
		{broker, "log.retention.ms=5", "log.retention.ms=5"},
		{broker, "advertised.listeners=PLAINTEXT://h:1", "advertised.listeners=PLAINTEXT://h:1"},
		{broker, "rafka.broker.drain=true", "rafka.broker.drain=true"},
		{all, "log.retention.ms=5 log.preallocate=true", "log.preallocate=true log.retention.ms=5"},
		{group, "consumer.session.timeout.ms=6000", "consumer.session.timeout.ms=6000"},
		{metadata.Resource{Type: metadata.ResourceClientMetrics, Name: "m"}, "interval.ms=1000", "interval.ms=1000"},

		{topic, "retention.ms=x", "INVALID_CONFIG: Invalid value x for configuration retention.ms: Not a number of type LONG"},
		{topic, "min.compaction.lag.ms=9 max.compaction.lag.ms=8", "INVALID_CONFIG: conflict topic config setting min.compaction.lag.ms (9) > max.compaction.lag.ms (8)"},
		{topic, "never.heard.of=1", "INVALID_CONFIG: Unknown topic config name: never.heard.of"},
		{topic, "cleanup.policy+=burn", "INVALID_CONFIG: Invalid value delete,burn for configuration cleanup.policy: String must be one of: compact, delete"},
		{topic, "retention.ms+=1", "INVALID_CONFIG: Can't APPEND to key retention.ms because its type is not LIST."},
		{topic, "retention.ms-=1", "INVALID_CONFIG: Can't SUBTRACT from key retention.ms because its type is not LIST."},
		{topic, "never.heard.of+=1", "INVALID_CONFIG: Can't APPEND to key never.heard.of because its type is not LIST."},
		{topic, "retention.ms=1 retention.ms=2", "INVALID_REQUEST: Error due to duplicate config keys"},
		{topic, "retention.ms=1 retention.ms-", "INVALID_REQUEST: Error due to duplicate config keys"},
		{topic, "retention.ms=nil segment.ms=nil", "INVALID_REQUEST: Null value not supported for : retention.ms,segment.ms"},
		{topic, "segment.ms=1 retention.ms=x", "INVALID_CONFIG: Invalid value x for configuration retention.ms: Not a number of type LONG"},
		{metadata.Resource{Type: metadata.ResourceTopic, Name: "x"}, "retention.ms=1", "UNKNOWN_TOPIC_OR_PARTITION: The topic 'x' does not exist."},
		{metadata.Resource{Type: metadata.ResourceTopic, Name: "a/b"}, "retention.ms=1", "INVALID_TOPIC_EXCEPTION: Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"},
		{metadata.Resource{Type: metadata.ResourceTopic}, "retention.ms=1", "INVALID_REQUEST: Default topic resources are not allowed."},
		{broker, "log.dirs=/x", "INVALID_REQUEST: Cannot update these configs dynamically: [log.dirs]"},
		{broker, "log.retention.ms=1 auto.create.topics.enable=false", "INVALID_REQUEST: Cannot update these configs dynamically: [auto.create.topics.enable]"},
		{all, "advertised.listeners=PLAINTEXT://h:1", "INVALID_REQUEST: Cannot update these configs at default cluster level, broker id must be specified: [advertised.listeners]"},
		{all, "rafka.broker.drain=true", "INVALID_REQUEST: Cannot update these configs at default cluster level, broker id must be specified: [rafka.broker.drain]"},
		{broker, "rafka.broker.drain=soon", "INVALID_REQUEST: Invalid value soon for configuration rafka.broker.drain: Expected value to be either true or false"},
		{broker, "log.retention.ms=x", "INVALID_REQUEST: Invalid value x for configuration log.retention.ms: Not a number of type LONG"},
		{broker, "never.heard.of=1", "INVALID_REQUEST: Unknown broker config name: never.heard.of"},
		{metadata.Resource{Type: metadata.ResourceBroker, Name: "7"}, "log.retention.ms=1", "BROKER_ID_NOT_REGISTERED: No broker with id 7 found."},
		{metadata.Resource{Type: metadata.ResourceBroker, Name: "seven"}, "log.retention.ms=1", "INVALID_REQUEST: Invalid broker name seven"},
		{group, "never.heard.of=1", "INVALID_CONFIG: Unknown group config name: never.heard.of"},
		{metadata.Resource{Type: metadata.ResourceGroup}, "consumer.session.timeout.ms=1", "INVALID_REQUEST: Default group resources are not allowed."},
		{metadata.Resource{Type: metadata.ResourceClientMetrics, Name: "m"}, "x=1", "INVALID_CONFIG: Unknown client metrics config name: x"},
		{metadata.Resource{Type: metadata.ResourceClientMetrics}, "interval.ms=1", "INVALID_REQUEST: Default client metrics resources are not allowed."},
		{metadata.Resource{Type: 77, Name: "x"}, "a=1", "INVALID_REQUEST: Unsupported config resource type 77"},
	} {
		img := configured(t)
		r := controller.AlterResource{Resource: c.resource}
		words := strings.Fields(c.changes)
		if len(words) > 0 && words[0] == "replace" {
			r.Replace, words = true, words[1:]
		}
		for _, w := range words {
			r.Changes = append(r.Changes, change(w))
		}
		records, errs := controller.AlterConfigs(configEnv(), img, []controller.AlterResource{r})
		after, _, err := metadata.Fold(img, records)
		if err != nil {
			t.Fatal(err)
		}
		got := settings(after, c.resource)
		if errs[0] != nil {
			got = kafka.CodeOf(errs[0]).Name() + ": " + kafka.MessageOf(errs[0])
			if len(records) > 0 {
				t.Errorf("%s %s: %d records in spite of %s", c.resource, c.changes, len(records), got)
			}
		}
		if got != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.resource, c.changes, got, c.want)
		}
	}
}

func settings(img *metadata.Image, r metadata.Resource) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(img.Configs[r])) {
		out = append(out, name+"="+img.Configs[r][name])
	}
	return strings.Join(out, " ")
}

// A change to what is already set makes no record, one resource that is refused hinders no other, and an operation that Kafka does not
// have is refused.
func TestAlterConfigsDecidesEachOnItsOwn(t *testing.T) {
	topic := metadata.Resource{Type: metadata.ResourceTopic, Name: "t"}
	broker := metadata.Resource{Type: metadata.ResourceBroker, Name: "1"}
	same := controller.AlterResource{Resource: topic, Changes: []controller.ConfigChange{change("retention.ms=1000")}}
	bad := controller.AlterResource{Resource: broker, Changes: []controller.ConfigChange{change("log.dirs=x")}}
	records, errs := controller.AlterConfigs(configEnv(), configured(t), []controller.AlterResource{same, bad})
	if len(records) != 0 || errs[0] != nil || errs[1] == nil {
		t.Fatalf("%v %v", records, errs)
	}
	_, errs = controller.AlterConfigs(configEnv(), configured(t), []controller.AlterResource{same, bad, same})
	if kafka.MessageOf(errs[0]) != "Each resource must appear at most once." || kafka.CodeOf(errs[2]) != kafka.InvalidRequest || kafka.MessageOf(errs[1]) == kafka.MessageOf(errs[0]) {
		t.Fatal(errs)
	}
	odd := controller.AlterResource{Resource: topic, Changes: []controller.ConfigChange{{Name: "retention.ms", Op: 9, Value: value("1")}}}
	if _, errs = controller.AlterConfigs(configEnv(), configured(t), []controller.AlterResource{odd}); kafka.CodeOf(errs[0]) != kafka.InvalidRequest {
		t.Fatal(errs)
	}
}

// A broker drains as long as its setting says so, and whoever gets the id after it does not.
func TestDrainSettingDrainsTheBroker(t *testing.T) {
	env, img := configEnv(), configured(t)
	broker := metadata.Resource{Type: metadata.ResourceBroker, Name: "1"}
	alter := func(want string, replace bool, changes ...string) {
		t.Helper()
		r := controller.AlterResource{Resource: broker, Replace: replace}
		for _, c := range changes {
			r.Changes = append(r.Changes, change(c))
		}
		records, errs := controller.AlterConfigs(env, img, []controller.AlterResource{r})
		if errs[0] != nil {
			t.Fatal(errs[0])
		}
		img = fold(t, img, records)
		if got := fmt.Sprintf("%v %s", img.Brokers[1].Draining, settings(img, broker)); got != want {
			t.Errorf("%v: %q, want %q", changes, got, want)
		}
	}
	alter("true rafka.broker.drain=TRUE", false, "rafka.broker.drain=TRUE")
	alter("true log.retention.ms=5 rafka.broker.drain=TRUE", false, "log.retention.ms=5") // about something else
	alter("false log.retention.ms=5", false, "rafka.broker.drain-")
	alter("true log.retention.ms=5 rafka.broker.drain=true", false, "rafka.broker.drain=true")
	alter("false log.retention.ms=5 rafka.broker.drain=false", false, "rafka.broker.drain=false")
	alter("true rafka.broker.drain=true", true, "rafka.broker.drain=true")
	alter("false ", true)
	// Where the flag was set or lost in another way, saying it once more does it.
	alter("true rafka.broker.drain=true", false, "rafka.broker.drain=true")
	lost := *img.Brokers[1]
	lost.Draining = false
	img = fold(t, img, []metadata.Record{&metadata.BrokerRecord{Broker: lost}})
	alter("false log.retention.ms=6 rafka.broker.drain=true", false, "log.retention.ms=6")
	alter("true log.retention.ms=6 rafka.broker.drain=true", false, "rafka.broker.drain=true")

	gone := *img.Brokers[1]
	gone.Fenced = true
	img = fold(t, img, []metadata.Record{&metadata.BrokerRecord{Broker: gone}, &metadata.RemoveTopicRecord{ID: kafka.UUID{1}}})
	records, err := controller.UnregisterBroker(env, img, 1)
	if err != nil {
		t.Fatal(err)
	}
	if img = fold(t, img, records); img.Brokers[1] != nil || settings(img, broker) != "log.retention.ms=6" {
		t.Errorf("%v %s", img.Brokers, settings(img, broker))
	}
}

// Appending and subtracting in any order is what a set of elements does.
func TestListOperationsActAsASet(t *testing.T) {
	for range 100 {
		seed := seed.Of(t)
		rng := rand.New(rand.NewPCG(seed, 11))
		img, oracle := configured(t), map[string]bool{}
		r := metadata.Resource{Type: metadata.ResourceTopic, Name: "t"}
		for range 20 {
			element := fmt.Sprint(rng.IntN(6), ":1")
			c := controller.ConfigChange{Name: "leader.replication.throttled.replicas", Op: controller.OpAppend, Value: &element}
			if oracle[element] = rng.IntN(2) == 0; !oracle[element] {
				c.Op = controller.OpSubtract
				delete(oracle, element)
			}
			records, errs := controller.AlterConfigs(configEnv(), img, []controller.AlterResource{{Resource: r, Changes: []controller.ConfigChange{c}}})
			if errs[0] != nil {
				t.Fatalf("seed %d: %v", seed, errs)
			}
			var err error
			if img, _, err = metadata.Fold(img, records); err != nil {
				t.Fatal(err)
			}
			got := strings.FieldsFunc(img.Configs[r][c.Name], func(r rune) bool { return r == ',' })
			if slices.Sort(got); !slices.Equal(got, slices.Sorted(maps.Keys(oracle))) {
				t.Fatalf("seed %d: %v, want %v", seed, got, oracle)
			}
		}
	}
}

// Settings are judged together with those that were there; one that only another release knows is kept and in nobody's way.
func TestSettingsAreJudgedTogether(t *testing.T) {
	topic := metadata.Resource{Type: metadata.ResourceTopic, Name: "t"}
	img, _, err := metadata.Fold(configured(t), []metadata.Record{
		&metadata.ConfigRecord{Resource: topic, Name: "min.compaction.lag.ms", Value: value("9")},
		&metadata.ConfigRecord{Resource: topic, Name: "key.of.the.future", Value: value("9")},
	})
	if err != nil {
		t.Fatal(err)
	}
	alter := func(c string) error {
		_, errs := controller.AlterConfigs(configEnv(), img, []controller.AlterResource{{Resource: topic, Changes: []controller.ConfigChange{change(c)}}})
		return errs[0]
	}
	if err := alter("max.compaction.lag.ms=8"); kafka.CodeOf(err) != kafka.InvalidConfig {
		t.Fatal(err)
	}
	if err := alter("max.compaction.lag.ms=9"); err != nil {
		t.Fatal(err)
	}
}

// What a group asks for stays within what the broker allows it.
func TestGroupSettingsStayWithinTheBrokersBounds(t *testing.T) {
	env := configEnv()
	env.Inherited = func(_ *metadata.Image, r metadata.Resource, name string) string {
		if key, known := config.Lookup(config.Broker, name); known && r.Type == metadata.ResourceBroker {
			return key.Default
		}
		return ""
	}
	group := metadata.Resource{Type: metadata.ResourceGroup, Name: "g"}
	for _, tc := range []struct{ change, err string }{
		{"share.record.lock.duration.ms=60000", ""},
		{"share.record.lock.duration.ms=60001", "share.record.lock.duration.ms must be less than or equal to group.share.max.record.lock.duration.ms (60000)"},
		{"consumer.session.timeout.ms=44999", "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms (45000)"},
		{"streams.num.standby.replicas=3", "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas (2)"},
		{"share.auto.offset.reset=earliest", ""},
	} {
		_, errs := controller.AlterConfigs(env, configured(t), []controller.AlterResource{{Resource: group, Changes: []controller.ConfigChange{change(tc.change)}}})
		if got := kafka.MessageOf(errs[0]); got != tc.err || errs[0] != nil && kafka.CodeOf(errs[0]) != kafka.InvalidConfig {
			t.Errorf("%s: %v, want %q", tc.change, errs[0], tc.err)
		}
	}
}
