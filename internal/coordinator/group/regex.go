package group

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/wire"
)

// regexTopics is the topics that match an expression. It is never changed.
type regexTopics struct {
	topics  []string // sorted
	version int64    // of the image
	at      kafka.Timestamp
}

// Bounds of an expression (P6); one beyond them is INVALID_REGULAR_EXPRESSION. Its steps are what a matcher built from it would have, roughly:
// without a bound, thirty bytes of nested repetitions make one of a hundred megabytes.
const (
	maxRegexBytes = 4096
	maxRegexSteps = 20_000
)

// checkRegex refuses what is no expression of RE2, or too large a one.
func checkRegex(expr string) error {
	_, err := parseRegex(expr)
	return err
}

func parseRegex(expr string) (*syntax.Regexp, error) {
	if len(expr) > maxRegexBytes {
		return nil, kafka.Errorf(kafka.InvalidRegularExpression, "SubscribedTopicRegex has %d bytes; use at most %d.", len(expr), maxRegexBytes)
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, kafka.Errorf(kafka.InvalidRegularExpression, "SubscribedTopicRegex `%s` is not a valid regular expression: %s.", expr, err)
	}
	if regexSteps(tree) > maxRegexSteps {
		return nil, kafka.Errorf(kafka.InvalidRegularExpression, "SubscribedTopicRegex `%s` is too large: its repetitions multiply to more than %d steps; use fewer.", expr, maxRegexSteps)
	}
	return tree, nil
}

// regexSteps estimates the size of a matcher, and counts no further than the bound.
func regexSteps(tree *syntax.Regexp) int {
	steps := 1 + len(tree.Rune)
	for _, sub := range tree.Sub {
		steps += regexSteps(sub)
	}
	if tree.Op == syntax.OpRepeat {
		steps *= max(tree.Min, tree.Max, 1)
	}
	return min(steps, maxRegexSteps+1)
}

// compileRegex makes a matcher of whole names. nil: it is none, which only an expression from a log of another version can be.
func compileRegex(expr string) *regexp.Regexp {
	tree, err := parseRegex(expr)
	if err != nil {
		return nil
	}
	// Not expr itself: an open \Q in it would take in what stands behind.
	re, err := regexp.Compile(`\A(?:` + tree.String() + `)\z`)
	if err != nil {
		return nil
	}
	return re
}

// matching lists the topics that match, internal ones too, as in Kafka.
func matching(expr string, topics *metadata.Topics) (names []string) {
	re := compileRegex(expr)
	if re == nil {
		return nil
	}
	for t := range topics.All() {
		if re.MatchString(t.Name) {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	return names
}

// resolveRegex finds the topics of an expression that somebody has begun to use.
func (g *consumerGroup) resolveRegex(op *coordinator.Op, expr *string) {
	if expr == nil {
		return
	}
	if _, known := g.regexes.Get(*expr); !known {
		g.foundTopics(op, strings.Clone(*expr), matching(*expr, op.Image.Topics))
	}
}

func (g *consumerGroup) foundTopics(op *coordinator.Op, expr string, names []string) {
	op.Emit(&consumerRegex{group: g.id, regex: expr, found: &regexTopics{topics: names, version: int64(op.Image.Offset), at: millis(op.Now)}})
}

// forgetRegexes drops the expressions that no member uses any more.
func (g *consumerGroup) forgetRegexes(op *coordinator.Op) {
	if g.regexes.Len() == 0 {
		return
	}
	used := map[string]bool{}
	for _, m := range g.members.All() {
		used[deref(m.said.regex)] = true
	}
	for _, expr := range sortedKeys(g.regexes) {
		if !used[expr] {
			op.Emit(&consumerRegex{group: g.id, regex: expr})
		}
	}
}

// refreshRegexes finds the topics of all expressions anew, as after a load, when what has changed is not known.
func (g *consumerGroup) refreshRegexes(op *coordinator.Op) {
	for _, m := range g.sorted() {
		g.resolveRegex(op, m.said.regex)
	}
	for _, expr := range sortedKeys(g.regexes) {
		found, _ := g.regexes.Get(expr)
		if names := matching(expr, op.Image.Topics); !slices.Equal(names, found.topics) {
			g.foundTopics(op, expr, names)
		}
	}
}

// updateRegexes looks at the topics that came and went. So what an expression matches is never older than the image, and
// group.consumer.regex.refresh.interval.ms has nothing to wait for.
func (g *consumerGroup) updateRegexes(op *coordinator.Op, d *metadata.Delta) {
	for _, expr := range sortedKeys(g.regexes) {
		found, _ := g.regexes.Get(expr)
		names := slices.Clone(found.topics)
		var re *regexp.Regexp
		for _, t := range d.Topics {
			if t.Before != nil && (t.After == nil || t.After.Name != t.Before.Name) {
				if i, ok := slices.BinarySearch(names, t.Before.Name); ok && op.Image.Topics.ByName(t.Before.Name) == nil {
					names = slices.Delete(names, i, i+1)
				}
			}
			if t.After == nil || t.Before != nil {
				continue
			}
			if re == nil {
				if re = compileRegex(expr); re == nil {
					break
				}
			}
			if i, ok := slices.BinarySearch(names, t.After.Name); !ok && re.MatchString(t.After.Name) {
				names = slices.Insert(names, i, t.After.Name)
			}
		}
		if !slices.Equal(names, found.topics) {
			g.foundTopics(op, expr, names)
		}
	}
}

func timestampOf(r *wire.Reader) kafka.Timestamp { return kafka.Timestamp(r.Int64()) }
