package controller_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/metadata"
)

// A topic that may grow gets the partitions that its load asks for, at most twice as many as it has and no more than its cap; the load it has then
// asks for no more. Nobody else grows, compacted topics never.
func TestTopicsGrowWithTheirLoad(t *testing.T) {
	env := testEnv()
	env.Inherited = func(_ *metadata.Image, _ metadata.Resource, name string) string {
		return map[string]string{"rafka.balance.enable": "false", "rafka.partitions.bytes.per.second": "10485760", "cleanup.policy": "delete"}[name]
	}
	set := func(img *metadata.Image, topic, name, value string) *metadata.Image {
		return fold(t, img, []metadata.Record{&metadata.ConfigRecord{Resource: metadata.Resource{Type: metadata.ResourceTopic, Name: topic}, Name: name, Value: &value}})
	}
	count := func(img *metadata.Image, topic string) int { return len(img.Topics.ByName(topic).Partitions) }
	img := newTopic(t, env, newTopic(t, env, five(t), "grows", 2, 3), "stays", 2, 3)
	img = set(img, "grows", "rafka.partitions.max", "12")
	once := func(img *metadata.Image, rates ...int64) (*metadata.Image, string) {
		env.Loads = append(traffic(img, "grows", rates...), traffic(img, "stays", 500, 500)...)
		records, why := controller.Upkeep(env, img, 0)
		why = slices.DeleteFunc(why, func(s string) bool { return !strings.Contains(s, "partitions, of at most") })
		return fold(t, img, records), strings.Join(why, "\n")
	}
	for _, step := range []struct {
		rates []int64
		want  int
		says  string
	}{
		{[]int64{10, 10}, 2, ""}, // just what they should take
		{[]int64{15, 10}, 3, "grows grows from 2 to 3 partitions, of at most 12: it takes 25.0 MiB/s, which is more than 10.0 MiB/s each"},
		{[]int64{15, 10}, 3, ""}, // it is enough for that
		{[]int64{300, 100}, 6, "from 3 to 6"},
		{[]int64{300, 100}, 12, "from 6 to 12"},
		{[]int64{300, 100}, 12, ""},
		{nil, 12, ""}, // partitions stay
	} {
		var why string
		if img, why = once(img, step.rates...); count(img, "grows") != step.want || count(img, "stays") != 2 || !strings.Contains(why, step.says) || step.says == "" && why != "" {
			t.Fatalf("with %v MiB/s it has %d partitions, want %d; %q", step.rates, count(img, "grows"), step.want, why)
		}
	}
	for _, p := range img.Topics.ByName("grows").Partitions {
		if len(p.Replicas) != 3 || p.Leader < 0 {
			t.Errorf("a new partition is %+v", p)
		}
	}
	other := set(set(img, "stays", "rafka.partitions.max", "12"), "stays", "cleanup.policy", "compact,delete")
	if after, why := once(other, 1); count(after, "stays") != 2 || why != "" {
		t.Errorf("a compacted topic grows: %q", why)
	}
	slow := set(set(img, "stays", "rafka.partitions.max", "12"), "stays", "rafka.partitions.bytes.per.second", "1073741824")
	if after, why := once(slow, 1); count(after, "stays") != 2 || why != "" {
		t.Errorf("its partitions may take a GiB/s each, and it grows: %q", why)
	}
}

// With more partitions the latest record of a key would be in two of them.
func TestCompactedTopicsMayNotGrow(t *testing.T) {
	env := testEnv()
	env.Inherited = func(*metadata.Image, metadata.Resource, string) string { return "" }
	compact, four := "compact", "4"
	_, answers := controller.CreateTopics(env, five(t), []controller.NewTopic{{Name: "t", Partitions: 1, Replication: 1, Configs: []controller.ConfigEntry{
		{Name: "cleanup.policy", Value: &compact}, {Name: "rafka.partitions.max", Value: &four},
	}}})
	if len(answers) != 1 || answers[0].Err == nil || !strings.Contains(answers[0].Err.Error(), "a key's latest record") {
		t.Errorf("%v", answers)
	}
}
