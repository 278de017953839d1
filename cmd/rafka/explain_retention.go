package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// retentionRules are the settings of a topic that decide what is kept. Negative: without limit.
type retentionRules struct {
	policy                   string
	age, segmentAge, tombs   time.Duration
	bytes, segmentBytes      int64
	lag                      time.Duration // min.compaction.lag.ms
	logAppendTime, fromTopic bool          // fromTopic: the topic itself sets retention.ms or retention.bytes
}

// keptLog is one partition's log.
type keptLog struct {
	partitionLog
	oldest time.Time // timestamp of the oldest record; zero: unknown, or there is none
	bytes  int64     // of the largest replica; -1: unknown
}

func newExplainRetention(e *explainCommand) *cobra.Command {
	cmd := e.verb("retention TOPIC[:P,P]", "Why records are kept or gone", "Say by which rules the records of a topic are kept and deleted, and how that explains where its logs start.", atOnceOnly, e.retention)
	cmd.ValidArgsFunction = e.completeTopics
	return cmd
}

func (e *explainCommand) retention(ctx context.Context, adm *admin, name string) (*explanation, error) {
	scope, err := parseScope([]string{name})
	if err != nil {
		return nil, err
	}
	topic := scope[0].topic
	logs, err := loadLogs(ctx, adm, []string{topic}, scope[0].partitions, kgo.ReadUncommitted())
	if err != nil {
		return nil, err
	}
	configs, err := describeConfigs(ctx, adm, resource{kmsg.ConfigResourceTypeTopic, topic}, nil)
	if err != nil {
		return nil, err
	}
	where, err := locate(ctx, adm, []string{topic})
	if err != nil {
		return nil, err
	}
	sizes := logSizes(ctx, adm, topic)
	kept := make([]keptLog, 0, len(logs))
	for _, l := range logs {
		k := keptLog{partitionLog: l, bytes: -1}
		if size, ok := sizes[l.partition]; ok {
			k.bytes = size
		}
		if l.end > l.start {
			if r, err := where.firstRecord(ctx, adm, topic, l.partition, l.start); err == nil && r != nil {
				k.oldest = r.Timestamp
			}
		}
		kept = append(kept, k)
	}
	return explainRetention(topic, readRules(configs), kept, e.now()), nil
}

// logSizes is how large the largest replica of each partition is; a cluster that does not tell leaves it out.
func logSizes(ctx context.Context, adm *admin, topic string) map[int32]int64 {
	sizes := make(map[int32]int64)
	all, err := adm.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return sizes
	}
	all.Each(func(d kadm.DescribedLogDir) {
		for p, one := range d.Topics[topic] {
			sizes[p] = max(sizes[p], one.Size)
		}
	})
	return sizes
}

func readRules(configs []configView) retentionRules {
	values := make(map[string]string)
	r := retentionRules{}
	for _, c := range configs {
		values[c.Key] = deref(c.Value)
		if strings.HasPrefix(c.Key, "retention.") && c.Source == kmsg.ConfigSourceDynamicTopicConfig.String() {
			r.fromTopic = true
		}
	}
	n := func(key string) int64 {
		v, err := strconv.ParseInt(values[key], 10, 64)
		if err != nil {
			return -1
		}
		return v
	}
	ms := func(key string) time.Duration {
		v := n(key)
		if v < 0 || v > int64(1<<62)/int64(time.Millisecond) {
			return -1
		}
		return time.Duration(v) * time.Millisecond
	}
	r.policy, r.age, r.bytes = values["cleanup.policy"], ms("retention.ms"), n("retention.bytes")
	r.segmentAge, r.segmentBytes, r.tombs, r.lag = ms("segment.ms"), n("segment.bytes"), ms("delete.retention.ms"), ms("min.compaction.lag.ms")
	r.logAppendTime = values["message.timestamp.type"] == "LogAppendTime"
	return r
}

// explainRetention says the rules, then what each log shows of them.
func explainRetention(topic string, r retentionRules, logs []keptLog, now time.Time) *explanation {
	x := &explanation{About: topic}
	deletes, compacts := strings.Contains(r.policy, "delete"), strings.Contains(r.policy, "compact")
	clock := "by the time their producer gave them"
	if r.logAppendTime {
		clock = "by the time the broker got them"
	}
	switch {
	case deletes && r.age < 0 && r.bytes < 0:
		x.say("", "Nothing of %s is deleted: retention.ms and retention.bytes set no limit.", topic)
	case deletes && r.bytes < 0:
		x.say("", "Records of %s are deleted when they are older than %s (retention.ms, %s).", topic, spanText(r.age), clock)
	case deletes && r.age < 0:
		x.say("", "The oldest records of %s are deleted when a partition is larger than %s (retention.bytes).", topic, bytesText(r.bytes))
	case deletes:
		x.say("", "Records of %s are deleted when they are older than %s (retention.ms, %s), and the oldest when a partition is larger than %s (retention.bytes).", topic, spanText(r.age), clock, bytesText(r.bytes))
	case !compacts:
		x.say("", "Nothing of %s is deleted: cleanup.policy is %q.", topic, r.policy)
	}
	if compacts {
		x.say("", "%s is compacted: of each key the last record stays, older ones go once they are %s old; a null value goes %s after it was cleaned (delete.retention.ms).", topic, spanText(max(0, r.lag)), spanText(max(0, r.tombs)))
	}
	if deletes && (r.age >= 0 || r.bytes >= 0) {
		x.say("", "Only whole segments go, and never the one being written: it is closed after %s (segment.ms) or at %s (segment.bytes), so records can stay that much longer.", spanText(max(0, r.segmentAge)), bytesText(max(0, r.segmentBytes)))
		if !r.fromTopic {
			x.say("", "The limits are the broker's; `rafka config set topic/%s retention.ms=…` gives the topic its own.", topic)
		}
	}
	for _, l := range logs {
		x.say(fmt.Sprintf("%s/%d", l.topic, l.partition), "%s", explainKept(l, r, deletes, compacts, now))
	}
	return x
}

// explainKept says where one log starts and why.
func explainKept(l keptLog, r retentionRules, deletes, compacts bool, now time.Time) string {
	var text string
	switch {
	case l.end == 0:
		return "nothing was ever written"
	case l.start == l.end:
		return fmt.Sprintf("empty: everything before offset %d is deleted, by retention or by `rafka topic trim`", l.end)
	case l.start == 0:
		text = fmt.Sprintf("nothing is deleted from its start, it has offsets 0 to %d", l.end-1)
	default:
		text = fmt.Sprintf("everything before offset %d is deleted, by retention or by `rafka topic trim`; it has offsets up to %d", l.start, l.end-1)
	}
	if l.bytes >= 0 {
		text += ", " + bytesText(l.bytes)
	}
	if l.oldest.IsZero() {
		return text
	}
	age := max(0, now.Sub(l.oldest))
	text += ", the oldest record is " + spanText(age) + " old"
	over := l.bytes - r.bytes
	switch {
	case !deletes:
	case r.age >= 0 && age > r.age:
		text += fmt.Sprintf(": longer than retention.ms by %s, because its segment is still written to, holds younger records, or is not looked at yet", spanText(age-r.age))
	case r.bytes >= 0 && l.bytes >= 0 && over > 0:
		text += fmt.Sprintf("; it is larger than retention.bytes by %s, which is less than its oldest segment, or not looked at yet", bytesText(over))
	case r.age >= 0 && !compacts:
		text += fmt.Sprintf("; it may go in %s at the earliest", spanText(r.age-age))
	}
	return text
}
