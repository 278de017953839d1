package group

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// DeleteGroup removes an empty group and its offsets. Errors: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP and what else the group's checkDelete has.
func (s *Shard) DeleteGroup(op *coordinator.Op, name string) kmsg.DeleteGroupsResponseGroup {
	r := kmsg.NewDeleteGroupsResponseGroup()
	r.Group = name
	g, ok := s.groups.Get(name)
	var err error = kafka.Errorf(kafka.GroupIDNotFound, "Group %s not found.", name)
	if ok {
		err = g.checkDelete()
	}
	if err != nil {
		r.ErrorCode = int16(kafka.CodeOf(err))
		if text := kafka.MessageOf(err); text != "" {
			r.ErrorMessage = &text
		}
		return r
	}
	n := 0
	if offsets, ok := s.byGroup.Get(name); ok {
		for _, key := range offsets.keys() {
			offsets.drop(op, g.name(), key)
			n++
		}
	}
	g.remove(op)
	op.Note(g.name(), fmt.Sprintf("deleted on request, with %d offsets", n))
	return r
}
