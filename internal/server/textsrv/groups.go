package textsrv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

const listGroupsVersion = 5 // the first with kinds

// listGroups writes a line "<group> <kind> <state>" for each, and END with their number.
func (c *connection) listGroups() {
	groups, err := c.groups()
	if err != nil {
		c.fail(err)
		return
	}
	for _, g := range groups {
		c.out.write(word(g.Group), " ", strings.ToLower(g.GroupType), " ", strings.ToLower(g.GroupState), "\n")
	}
	c.out.write(fmt.Sprintf("END %d\n", len(groups)))
}

// groups are the groups of every kind, by name.
func (c *connection) groups() ([]kmsg.ListGroupsResponseGroup, error) {
	var a *kmsg.ListGroupsResponse
	err := broker.AskCoordinator(c.ctx, c.server.verbs, c.session, "", func() error {
		q := kmsg.NewPtrListGroupsRequest()
		q.Version = listGroupsVersion
		a = c.server.verbs.ListGroups(c.ctx, c.session, q)
		if code := kafka.ErrorCode(a.ErrorCode); code != kafka.None {
			return kafka.Errorf(code, "the groups cannot be listed at the moment (%s): try again", code)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(a.Groups, func(x, y kmsg.ListGroupsResponseGroup) int { return cmp.Compare(x.Group, y.Group) })
	return a.Groups, nil
}

// listGroupOffsets writes a line "<topic> <partition> <next offset> <how many are to come>" for each partition of which the group has
// committed an offset, and END with their number.
func (c *connection) listGroupOffsets(cmd *command) {
	found, err := c.committed(c.ctx, cmd.group)
	if err != nil {
		c.fail(explainGroup(cmd.group, err))
		return
	}
	slices.SortFunc(found, func(x, y kmsg.OffsetFetchResponseGroupTopic) int { return cmp.Compare(x.Topic, y.Topic) })
	lines := 0
	for _, t := range found {
		slices.SortFunc(t.Partitions, func(x, y kmsg.OffsetFetchResponseGroupTopicPartition) int {
			return cmp.Compare(x.Partition, y.Partition)
		})
		ends := c.ends(t.Topic)
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 || p.Offset < 0 {
				continue
			}
			toCome := "-" // the topic was deleted, or its end is not known at the moment
			if end, ok := ends[p.Partition]; ok {
				toCome = strconv.FormatInt(max(int64(end)-p.Offset, 0), 10)
			}
			c.out.write(fmt.Sprintf("%s %d %d %s\n", t.Topic, p.Partition, p.Offset, toCome))
			lines++
		}
	}
	c.out.write(fmt.Sprintf("END %d\n", lines))
}

// committed are all offsets that a group has committed.
func (c *connection) committed(ctx context.Context, group string) (found []kmsg.OffsetFetchResponseGroupTopic, err error) {
	err = broker.AskCoordinator(ctx, c.server.verbs, c.session, group, func() error {
		q := kmsg.NewPtrOffsetFetchRequest()
		q.Version = commitVersion
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.Topics = group, nil // nil: all of them
		q.Groups = append(q.Groups, g)
		a := c.server.verbs.OffsetFetch(ctx, c.session, q)
		if len(a.Groups) != 1 {
			return errNoAnswer
		}
		found = a.Groups[0].Topics
		return broker.GroupError(a.Groups[0].ErrorCode, group)
	})
	return found, err
}

// ends are the offsets after the last messages of a topic's partitions, those that can be had.
func (c *connection) ends(name string) map[int32]kafka.Offset {
	topic := c.server.verbs.Image().Topics.ByName(name)
	if topic == nil {
		return nil
	}
	query := make([]broker.ListOffsetsPartition, len(topic.Partitions))
	for p := range topic.Partitions {
		query[p] = broker.ListOffsetsPartition{Topic: name, Partition: int32(p), LeaderEpoch: kafka.NoEpoch, Timestamp: int64(broker.FromLatest)}
	}
	ends := map[int32]kafka.Offset{}
	for i, a := range c.server.verbs.ListOffsets(c.ctx, c.session, kafka.NoBroker, broker.ReadUncommitted, query) {
		if a.Err == nil {
			ends[int32(i)] = a.Offset
		}
	}
	return ends
}

// explainGroup gives an error about a group the words that help somebody who types.
func explainGroup(group string, err error) error {
	switch kafka.CodeOf(err) {
	case kafka.UnknownMemberID, kafka.IllegalGeneration, kafka.RebalanceInProgress, kafka.StaleMemberEpoch:
		return fmt.Errorf("group %s has members, and only they commit while they are there; stop them, or use a group of your own", word(group))
	case kafka.GroupIDNotFound:
		return fmt.Errorf("there is no group %s that commits offsets; GROUPS lists what there is", word(group))
	case kafka.InvalidGroupID:
		return errors.New("a group's name cannot be empty")
	}
	return err
}

// word is a name as the commands take it: what cannot stand in a word has an escape.
func word(name string) string {
	var b strings.Builder
	for rest := name; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == utf8.RuneError && size == 1 || !unicode.IsGraphic(r) || unicode.IsSpace(r):
			for _, ch := range []byte(rest[:size]) {
				fmt.Fprintf(&b, `\x%02x`, ch)
			}
		default:
			b.WriteString(rest[:size])
		}
		rest = rest[size:]
	}
	return b.String()
}
