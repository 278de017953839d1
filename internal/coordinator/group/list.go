package group

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
)

// ListGroups lists the groups of every kind that are in one of the states and of one of the types asked for, whatever their case; no filter
// lets all through, and one that names no state or type there is lets none.
func (s *Shard) ListGroups(v coordinator.View, req *kmsg.ListGroupsRequest) []kmsg.ListGroupsResponseGroup {
	wanted := func(filter []string, value string) bool {
		return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(strings.TrimSpace(f), value) })
	}
	var list []kmsg.ListGroupsResponseGroup
	for name, g := range s.groups.AllAt(v.Committed) {
		state := g.state(v)
		if !wanted(req.TypesFilter, string(g.kind())) || !wanted(req.StatesFilter, state) {
			continue
		}
		typ, _ := g.protocol(v)
		r := kmsg.NewListGroupsResponseGroup()
		r.Group, r.ProtocolType, r.GroupState, r.GroupType = name, typ, state, string(g.kind())
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b kmsg.ListGroupsResponseGroup) int { return strings.Compare(a.Group, b.Group) })
	return list
}
