package broker

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/controller/loop"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// serving is a publisher that keeps which partitions would be served: what the replica manager does in a node.
type serving struct {
	mu         sync.Mutex
	partitions map[string]int
}

func (s *serving) Apply(_ *metadata.Image, d *metadata.Delta) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range d.Topics {
		if c.Before != nil {
			delete(s.partitions, c.Before.Name)
		}
		if c.After != nil {
			s.partitions[c.After.Name] = len(c.After.Partitions)
		}
	}
}

func (s *serving) of(topic string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.partitions[topic]
}

// administered is admin over a controller in memory, started with the settings in static.
func administered(t *testing.T, static map[string]string) (*admin, *serving) {
	t.Helper()
	loaded, _, err := config.Load(config.Sources{Values: static})
	if err != nil {
		t.Fatal(err)
	}
	settings := Settings{Node: 1, Static: loaded}
	store, err := quorum.Open(quorum.Options{Node: 1})
	if err != nil {
		t.Fatal(err)
	}
	served := &serving{partitions: map[string]int{}}
	l := loop.New(loop.Options{
		Store: store, Publishers: []metadata.Publisher{served},
		Env: controller.Env{Partitions: 2, Replication: 1, DeleteTopics: true, NewTopicID: kafka.NewUUID, Inherited: settings.Inherited},
	})
	if err := l.Start(t.Context(), controller.Node{Broker: metadata.Broker{ID: 1}, NewClusterID: "c"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); _ = store.Close() })
	return &admin{opts: AdminOptions{NodeID: 1, Controller: l, Settings: settings, LogLevel: new(slog.LevelVar)}}, served
}

func said(err error) string {
	if err == nil {
		return "ok"
	}
	return strings.TrimSuffix(kafka.CodeOf(err).Name()+": "+kafka.MessageOf(err), ": ")
}

func some(s string) *string { return &s }

// When an administrative verb returns, the partitions it brought are served and those it took are not.
func TestTopicsAreServedWhenTheVerbReturns(t *testing.T) {
	a, served := administered(t, nil)
	created := a.CreateTopics(t.Context(), nil, []NewTopic{
		{Name: "t", Partitions: 3, Replication: 1, Configs: []ConfigEntry{{Name: "retention.ms", Value: some("5")}}},
		{Name: "a/b", Partitions: 1, Replication: 1},
	}, false)
	if created[0].Err != nil || created[0].Partitions != 3 || created[0].Replication != 1 || served.of("t") != 3 {
		t.Fatalf("%+v, served %d", created[0], served.of("t"))
	}
	if got := described(created[0].Configs, "retention.ms"); got != "retention.ms=5 source=1 type=5 [retention.ms=5@1 log.retention.hours=168@5]" {
		t.Fatalf("retention: %s", got)
	}
	if n := len(created[0].Configs); n < 37 { // Kafka's, and ours
		t.Fatalf("%d settings", n)
	}
	if c := created[1]; !strings.HasPrefix(said(c.Err), "INVALID_TOPIC_EXCEPTION: ") || c.Partitions != -1 || c.Configs != nil {
		t.Fatalf("%+v", c)
	}
	if errs := a.CreatePartitions(t.Context(), nil, []MorePartitions{{Topic: "t", Total: 5}}, false); errs[0] != nil || served.of("t") != 5 {
		t.Fatal(errs, served.of("t"))
	}
	if deleted := a.DeleteTopics(t.Context(), nil, []TopicRef{{ID: created[0].ID}}); deleted[0].Err != nil || deleted[0].Name != "t" || served.of("t") != 0 {
		t.Fatal(deleted)
	}
	dry := a.CreateTopics(t.Context(), nil, []NewTopic{{Name: "u", Partitions: -1, Replication: -1, Configs: []ConfigEntry{{Name: "preallocate", Value: some("true")}}}}, true)
	if dry[0].Err != nil || dry[0].Partitions != 2 || described(dry[0].Configs, "preallocate") != "preallocate=true source=1 type=1 [preallocate=true@1 log.preallocate=false@5]" || served.of("u") != 0 {
		t.Fatalf("%+v", dry)
	}
}

// First use creates what may be created, once, whoever asks at the same time.
func TestEnsureTopicsCreatesOnFirstUse(t *testing.T) {
	a, served := administered(t, nil)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			errs := a.EnsureTopics(t.Context(), nil, []string{"first", "a/b", "first", "__consumer_offsets", "second"})
			if errs[0] != nil || errs[2] != nil || errs[4] != nil {
				t.Error(errs)
			}
			if said(errs[3]) != "UNKNOWN_TOPIC_OR_PARTITION" || !strings.HasPrefix(said(errs[1]), "INVALID_TOPIC_EXCEPTION: ") {
				t.Error(errs)
			}
			if served.of("first") != 2 || served.of("second") != 2 {
				t.Error("not served")
			}
		})
	}
	wg.Wait()
	if n := a.opts.Controller.Image().Topics.Len(); n != 2 {
		t.Fatalf("%d topics", n)
	}
	if c := a.CreateTopics(t.Context(), nil, []NewTopic{{Name: "__consumer_offsets", Partitions: 1, Replication: 1}}, false); c[0].Err != nil {
		t.Fatalf("an internal topic that is asked for: %v", c[0].Err)
	}
	if errs := a.EnsureTopics(t.Context(), nil, []string{"__consumer_offsets"}); errs[0] != nil {
		t.Fatalf("an internal topic that exists: %v", errs)
	}
}

// auto.create.topics.enable=false: first use creates nothing, existing topics are no error.
func TestEnsureTopicsObeysItsSwitch(t *testing.T) {
	a, _ := administered(t, map[string]string{"auto.create.topics.enable": "false"})
	a.CreateTopics(t.Context(), nil, []NewTopic{{Name: "there", Partitions: 1, Replication: 1}}, false)
	errs := a.EnsureTopics(t.Context(), nil, []string{"there", "missing"})
	if errs[0] != nil || errs[1] != kafka.UnknownTopicOrPartition {
		t.Fatal(errs)
	}
}

// transcript is a described setting in one line.
func transcript(c DescribedConfig) string {
	var b strings.Builder
	value := func(v *string) string {
		if v == nil {
			return "null"
		}
		return *v
	}
	fmt.Fprintf(&b, "%s=%s source=%d type=%d", c.Name, value(c.Value), c.Source, c.Type)
	if c.ReadOnly {
		b.WriteString(" read-only")
	}
	if c.Sensitive {
		b.WriteString(" sensitive")
	}
	var synonyms []string
	for _, s := range c.Synonyms {
		synonyms = append(synonyms, fmt.Sprintf("%s=%s@%d", s.Name, value(s.Value), s.Source))
	}
	if synonyms != nil {
		fmt.Fprintf(&b, " [%s]", strings.Join(synonyms, " "))
	}
	return b.String()
}

// described is the transcript of one of several settings.
func described(list []DescribedConfig, name string) string {
	for _, c := range list {
		if c.Name == name {
			return transcript(c)
		}
	}
	return "none"
}

// Every source of a value in Kafka's order of precedence, units converted, secrets told to nobody, and every refusal.
func TestDescribeConfigs(t *testing.T) {
	a, _ := administered(t, map[string]string{"log.retention.hours": "24", "log.dirs": "/data", "ssl.keystore.password": "secret"})
	a.CreateTopics(t.Context(), nil, []NewTopic{{Name: "t", Partitions: 1, Replication: 1}}, false)
	topic, me, all := metadata.Resource{Type: metadata.ResourceTopic, Name: "t"}, metadata.Resource{Type: metadata.ResourceBroker, Name: "1"}, metadata.Resource{Type: metadata.ResourceBroker}
	group := metadata.Resource{Type: metadata.ResourceGroup, Name: "g"}
	set := func(r metadata.Resource, name, value string) {
		t.Helper()
		if errs := a.AlterConfigs(t.Context(), nil, []AlterResource{{Resource: r, Changes: []ConfigChange{{Name: name, Op: OpSet, Value: &value}}}}, false); errs[0] != nil {
			t.Fatal(errs)
		}
	}
	expect := func(r metadata.Resource, names []string, want ...string) {
		t.Helper()
		answer := a.DescribeConfigs(nil, []ConfigQuery{{Resource: r, Names: names}})[0]
		var got []string
		for _, c := range answer.Configs {
			got = append(got, transcript(c))
		}
		if answer.Err != nil {
			got = append(got, said(answer.Err))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s %v:\n got %s\nwant %s", r, names, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}

	if n := len(a.DescribeConfigs(nil, []ConfigQuery{{Resource: topic}})[0].Configs); n < 37 {
		t.Errorf("%d settings of a topic", n)
	}
	if n := len(a.DescribeConfigs(nil, []ConfigQuery{{Resource: me}})[0].Configs); n < 350 {
		t.Errorf("%d settings of a broker", n)
	}
	expect(topic, []string{"cleanup.policy", "leader.replication.throttled.replicas", "preallocate", "retention.ms", "segment.ms", "segment.jitter.ms", "internal.segment.bytes"},
		"cleanup.policy=delete source=5 type=7 [log.cleanup.policy=delete@5]",
		"leader.replication.throttled.replicas= source=5 type=7 [leader.replication.throttled.replicas=@5]",
		"preallocate=false source=5 type=1 [log.preallocate=false@5]",
		"retention.ms=86400000 source=4 type=5 [log.retention.hours=24@4 log.retention.hours=168@5]",
		"segment.jitter.ms=0 source=5 type=5 [log.roll.jitter.hours=0@5]",
		"segment.ms=604800000 source=5 type=5 [log.roll.hours=168@5]")
	set(all, "log.retention.ms", "3")
	expect(topic, []string{"retention.ms"}, "retention.ms=3 source=3 type=5 [log.retention.ms=3@3 log.retention.hours=24@4 log.retention.hours=168@5]")
	set(me, "log.retention.ms", "2")
	expect(topic, []string{"retention.ms"}, "retention.ms=2 source=2 type=5 [log.retention.ms=2@2 log.retention.ms=3@3 log.retention.hours=24@4 log.retention.hours=168@5]")
	set(topic, "retention.ms", "1")
	expect(topic, []string{"retention.ms", "no.such"}, "retention.ms=1 source=1 type=5 [retention.ms=1@1 log.retention.ms=2@2 log.retention.ms=3@3 log.retention.hours=24@4 log.retention.hours=168@5]")

	set(me, "ssl.keystore.password", "changed")
	expect(me, []string{"log.dirs", "log.retention.hours", "log.retention.ms", "ssl.keystore.password", "advertised.listeners"},
		"advertised.listeners=null source=5 type=7",
		"log.dirs=/data source=4 type=7 read-only [log.dirs=/data@4]",
		"log.retention.hours=24 source=4 type=3 read-only [log.retention.hours=24@4 log.retention.hours=168@5]",
		"log.retention.ms=2 source=2 type=5 [log.retention.ms=2@2 log.retention.ms=3@3]",
		"ssl.keystore.password=null source=2 type=9 sensitive [ssl.keystore.password=null@2 ssl.keystore.password=null@4]")
	expect(all, nil, "log.retention.ms=3 source=3 type=5 [log.retention.ms=3@3]")
	timeout := []string{"consumer.session.timeout.ms"}
	expect(group, timeout, "consumer.session.timeout.ms=45000 source=5 type=3 [group.consumer.session.timeout.ms=45000@5]")
	set(group, "consumer.session.timeout.ms", "50000")
	expect(group, timeout, "consumer.session.timeout.ms=50000 source=8 type=3 [consumer.session.timeout.ms=50000@8 group.consumer.session.timeout.ms=45000@5]")
	metrics := metadata.Resource{Type: metadata.ResourceClientMetrics, Name: "m"}
	expect(metrics, nil, "interval.ms=300000 source=5 type=3 [interval.ms=300000@5]", "match= source=5 type=7 [match=@5]", "metrics= source=5 type=7 [metrics=@5]")
	set(metrics, "interval.ms", "1000")
	expect(metrics, []string{"interval.ms"}, "interval.ms=1000 source=7 type=3 [interval.ms=1000@7 interval.ms=300000@5]")
	expect(metadata.Resource{Type: metadata.ResourceBrokerLogger, Name: "1"}, nil, "root=INFO source=6 type=2")
	expect(metadata.Resource{Type: metadata.ResourceBrokerLogger, Name: "1"}, []string{"other"})

	expect(metadata.Resource{Type: metadata.ResourceTopic, Name: "x"}, nil, "UNKNOWN_TOPIC_OR_PARTITION")
	expect(metadata.Resource{Type: metadata.ResourceTopic, Name: "a/b"}, nil, "INVALID_TOPIC_EXCEPTION: Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
	expect(metadata.Resource{Type: metadata.ResourceBroker, Name: "2"}, nil, "INVALID_REQUEST: Unexpected broker id, expected 1 or empty string, but received 2")
	expect(metadata.Resource{Type: metadata.ResourceBrokerLogger, Name: "2"}, nil, "INVALID_REQUEST: Unexpected broker id, expected 1 but received 2")
	expect(metadata.Resource{Type: metadata.ResourceBrokerLogger}, nil, "INVALID_REQUEST: Broker id must not be empty")
	expect(metadata.Resource{Type: metadata.ResourceGroup}, nil, "INVALID_REQUEST: Group name must not be empty")
	expect(metadata.Resource{Type: metadata.ResourceClientMetrics}, nil, "INVALID_REQUEST: Client metrics subscription name must not be empty")
	expect(metadata.Resource{Type: 5, Name: "x"}, nil, "INVALID_REQUEST: Unsupported resource type: 5")

	want := "[topic:t broker:1 broker-logger:1 client-metrics:m group:g]"
	if got := fmt.Sprint(a.ListConfigResources(nil, nil)); got != want {
		t.Errorf("resources %s, want %s", got, want)
	}
	if got := fmt.Sprint(a.ListConfigResources(nil, []metadata.ResourceType{metadata.ResourceGroup, metadata.ResourceTopic, metadata.ResourceGroup, 99})); got != "[topic:t group:g]" {
		t.Errorf("resources %s", got)
	}
}

// A list is appended to from the value that is in force, wherever that comes from.
func TestAppendStartsFromTheValueInForce(t *testing.T) {
	a, _ := administered(t, map[string]string{"log.cleanup.policy": "compact"})
	a.CreateTopics(t.Context(), nil, []NewTopic{{Name: "t", Partitions: 1, Replication: 1}}, false)
	topic := metadata.Resource{Type: metadata.ResourceTopic, Name: "t"}
	errs := a.AlterConfigs(t.Context(), nil, []AlterResource{{Resource: topic, Changes: []ConfigChange{{Name: "cleanup.policy", Op: OpAppend, Value: some("delete")}}}}, false)
	if got := a.opts.Settings.Value(a.opts.Controller.Image(), topic, "cleanup.policy"); errs[0] != nil || got != "compact,delete" {
		t.Fatal(errs, got)
	}
	if got := a.opts.Settings.Value(a.opts.Controller.Image(), topic, "no.such"); got != "" {
		t.Fatal(got)
	}
	if c := a.opts.Settings.Topic(a.opts.Controller.Image(), "t"); !c.Compact || !c.Delete {
		t.Fatalf("%+v", c)
	}
	if c := a.opts.Settings.Topic(a.opts.Controller.Image(), "another"); !c.Compact || c.Delete {
		t.Fatalf("%+v", c)
	}
}

// Loggers: one of them, Kafka's levels, all or nothing, and Kafka's refusals.
func TestAlterLoggers(t *testing.T) {
	for _, c := range []struct {
		changes []ConfigChange
		replace bool
		want    string
		level   slog.Level
	}{
		{[]ConfigChange{{Name: "root", Value: some("DEBUG")}}, false, "ok", slog.LevelDebug},
		{[]ConfigChange{{Name: "ROOT", Value: some("TRACE")}}, false, "ok", slog.LevelDebug - 4},
		{[]ConfigChange{{Name: "root", Value: some("FATAL")}}, false, "ok", slog.LevelError + 4},
		{[]ConfigChange{{Name: "root", Value: some("LOUD")}}, false, "INVALID_CONFIG: Cannot set the log level of root to LOUD as it is not a supported log level. Valid log levels are FATAL, ERROR, WARN, INFO, DEBUG, TRACE", slog.LevelInfo},
		{[]ConfigChange{{Name: "root", Value: some("DEBUG")}, {Name: "kafka.server", Value: some("DEBUG")}}, false, "INVALID_CONFIG: Logger kafka.server does not exist!", slog.LevelInfo},
		{[]ConfigChange{{Name: "root", Op: OpDelete}}, false, "INVALID_REQUEST: Removing the log level of the root logger is not allowed", slog.LevelInfo},
		{[]ConfigChange{{Name: "root", Op: OpAppend, Value: some("DEBUG")}}, false, "INVALID_REQUEST: APPEND operation is not allowed for the BROKER_LOGGER resource", slog.LevelInfo},
		{[]ConfigChange{{Name: "root", Op: OpSubtract, Value: some("DEBUG")}}, false, "INVALID_REQUEST: SUBTRACT operation is not allowed for the BROKER_LOGGER resource", slog.LevelInfo},
		{[]ConfigChange{{Name: "root"}}, false, "INVALID_REQUEST: Null value not supported for : root", slog.LevelInfo},
		{[]ConfigChange{{Name: "root", Value: some("DEBUG")}}, true, "INVALID_REQUEST: AlterConfigs is deprecated and does not support the resource type BROKER_LOGGER", slog.LevelInfo},
	} {
		a, _ := administered(t, nil)
		r := AlterResource{Resource: metadata.Resource{Type: metadata.ResourceBrokerLogger, Name: "1"}, Replace: c.replace, Changes: c.changes}
		for _, validateOnly := range []bool{true, false} {
			errs := a.AlterConfigs(t.Context(), nil, []AlterResource{r}, validateOnly)
			level := a.opts.LogLevel.Level()
			if said(errs[0]) != c.want || !validateOnly && level != c.level || validateOnly && level != slog.LevelInfo {
				t.Errorf("%+v: %s at %v", c.changes, said(errs[0]), level)
			}
		}
	}
}

// Resources of one request are split between this process and the controller, and answered in order.
func TestAlterConfigsAnswersInOrder(t *testing.T) {
	a, _ := administered(t, nil)
	a.CreateTopics(t.Context(), nil, []NewTopic{{Name: "t", Partitions: 1, Replication: 1}}, false)
	one := func(t metadata.ResourceType, name, key, value string) AlterResource {
		return AlterResource{Resource: metadata.Resource{Type: t, Name: name}, Changes: []ConfigChange{{Name: key, Value: &value}}}
	}
	errs := a.AlterConfigs(t.Context(), nil, []AlterResource{
		one(metadata.ResourceTopic, "x", "retention.ms", "1"),
		one(metadata.ResourceBrokerLogger, "1", "root", "WARN"),
		one(metadata.ResourceTopic, "t", "retention.ms", "1"),
		one(metadata.ResourceBroker, "2", "log.preallocate", "true"),
		one(metadata.ResourceGroup, "g", "consumer.session.timeout.ms", "1"),
		one(metadata.ResourceGroup, "g", "consumer.session.timeout.ms", "2"),
		one(metadata.ResourceBroker, "1", "log.dirs", "x"),
	}, false)
	var got []string
	for _, err := range errs {
		got = append(got, said(err))
	}
	want := []string{
		"UNKNOWN_TOPIC_OR_PARTITION: The topic 'x' does not exist.",
		"ok",
		"ok",
		"INVALID_REQUEST: Unexpected broker id, expected 1 or empty string, but received 2",
		"INVALID_REQUEST: Each resource must appear at most once.",
		"INVALID_REQUEST: Each resource must appear at most once.",
		"INVALID_REQUEST: Cannot update these configs dynamically: [log.dirs]",
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Levels between Kafka's names are told by the quieter name that still lets them through.
func TestLevelNames(t *testing.T) {
	for level, want := range map[slog.Level]string{slog.LevelInfo: "INFO", slog.LevelInfo + 1: "INFO", slog.LevelError + 4: "FATAL", slog.LevelDebug - 9: "TRACE"} {
		if got := levelName(level); got != want {
			t.Errorf("%v is %s, want %s", level, got, want)
		}
	}
}
