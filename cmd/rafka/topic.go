package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// topicCommand is what the verbs under `topic` share.
type topicCommand struct {
	connection
	output
}

func newTopicCommand(getenv func(string) string) *cobra.Command {
	cmd := group("topic", "Create, list, describe, change and delete topics")
	t := &topicCommand{connection: connection{getenv: getenv}}
	t.connection.register(cmd)
	t.output.register(cmd)
	cmd.AddCommand(newTopicCreate(t), newTopicList(t), newTopicDescribe(t), newTopicAlter(t), newTopicDelete(t),
		newTopicAddPartitions(t), newTopicTrim(t), newTopicReassign(t), newTopicElect(t))
	return cmd
}

// matchTopics returns the topics whose whole name matches one of the patterns, sorted; internal ones only if asked for.
func matchTopics(ctx context.Context, adm *admin, patterns []string, internal bool) ([]string, error) {
	expressions, err := compilePatterns(patterns)
	if err != nil {
		return nil, err
	}
	all, err := adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range all.Sorted() {
		if d.IsInternal && !internal {
			continue
		}
		if matchesAny(expressions, d.Topic) {
			names = append(names, d.Topic)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no topic matches %q", patterns)
	}
	return names, nil
}

// compilePatterns anchors each pattern, so that "log" does not also mean "catalog".
func compilePatterns(patterns []string) ([]*regexp.Regexp, error) {
	var out []*regexp.Regexp
	for _, p := range patterns {
		re, err := regexp.Compile("^(?:" + p + ")$")
		if err != nil {
			return nil, usagef("pattern %q: %w", p, err)
		}
		out = append(out, re)
	}
	return out, nil
}

// matchesAny reports whether one of the expressions matches; without any, everything does.
func matchesAny(expressions []*regexp.Regexp, name string) bool {
	return len(expressions) == 0 || slices.ContainsFunc(expressions, func(re *regexp.Regexp) bool { return re.MatchString(name) })
}

// loadTopics returns the named topics' metadata; all of them if none is named. A topic that cannot be loaded is an error.
func loadTopics(ctx context.Context, adm *admin, names ...string) ([]kadm.TopicDetail, error) {
	m, err := adm.Metadata(ctx, names...)
	if err != nil {
		return nil, err
	}
	topics := m.Topics.Sorted()
	for _, d := range topics {
		if d.Err != nil {
			return nil, fmt.Errorf("topic %q: %w", d.Topic, describe(d.Err, ""))
		}
	}
	return topics, nil
}
