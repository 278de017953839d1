package group

import (
	"slices"
	"strconv"
	"strings"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
)

// subscribe takes in what a member says of itself, a new member too, and raises the group's epoch if that, its topics or its settings change who is
// to have what.
func (b *streamsBeat) subscribe(op *coordinator.Op, c Client) {
	g, m := b.group, b.member
	said := b.said(m.said, c)
	_, known := g.members.Get(m.id)
	if !known || said != m.said {
		if !known {
			op.Note(g.id, "member "+m.id+" joins")
		}
		if known && said.process != m.said.process {
			g.moveOut(op, m, said.process)
		}
		op.Emit(&streamsMemberRecord{group: g.id, member: m.id, said: said})
	}
	if b.initial {
		op.Emit(&streamsTopologyRecord{group: g.id, topology: b.topology})
	}
	if !known || !said.samePlace(m.said) || g.isBehind(op, b.plan) {
		g.bump(op, b.plan)
	}
	if delay := g.config(op.Image).InitialRebalanceDelay; b.wasEmpty && delay > 0 {
		g.delay(op, delay)
	}
}

// moveOut takes from a member that joins again in another process what somebody has there already (GRP-1). Who joins has nothing yet, so there is
// nothing to wait for; it gets what it is to have there with the epoch that follows.
func (g *streamsGroup) moveOut(op *coordinator.Op, m *streamsMember, to string) {
	free := func(t tasks.Task) bool {
		owner, held := g.local.Get(localTask{t, to})
		return !held || owner == m.id
	}
	at, has := *m.at, m.at.assigned
	at.revoking = streamsHeld{}
	at.assigned = holdTasks(tasks.Assignment{
		Active: has.Active.Filter(free), Standby: has.Standby.Filter(free), Warmup: has.Warmup.Filter(free),
	}, at.epoch, at.epoch, has)
	if at.state == memberUnrevoked {
		at.state = memberStable
		op.Cancel(m.rebalanceTimer)
	}
	if !at.equal(m.at) {
		op.Emit(&streamsCurrentRecord{group: g.id, member: m.id, at: &at})
	}
}

// said is what the member says of itself; fields that a heartbeat leaves out stay. It is old itself when nothing changes.
func (b *streamsBeat) said(old *streamsSaid, c Client) *streamsSaid {
	req, said := b.req, *old
	said.client = c
	if req.InstanceID != nil {
		said.instance = req.InstanceID
	}
	if req.RackID != nil {
		said.rack = req.RackID
	}
	if req.RebalanceTimeoutMillis != -1 {
		said.rebalanceTimeout = req.RebalanceTimeoutMillis
	}
	if req.Topology != nil {
		said.topologyEpoch = req.Topology.Epoch
	}
	if req.ProcessID != nil && b.joins { // nobody carries tasks from one process to another
		said.process = *req.ProcessID
	}
	if req.ClientTags != nil {
		said.tags = nil
		for _, t := range req.ClientTags {
			said.tags = append(said.tags, tasks.Tag{Key: t.Key, Value: t.Value})
		}
		sortTags(said.tags)
	}
	switch {
	case req.UserEndpoint != nil:
		said.endpoint = &streamsEndpoint{req.UserEndpoint.Host, req.UserEndpoint.Port}
	case b.joins:
		said.endpoint = nil
	}
	if said.equal(old) {
		return old
	}
	return said.kept()
}

// kept is s with texts of its own: those of a request do not outlive it.
func (s *streamsSaid) kept() *streamsSaid {
	c := *s
	c.instance, c.rack, c.process = cloned(s.instance), cloned(s.rack), strings.Clone(s.process)
	c.client = Client{ID: strings.Clone(s.client.ID), Host: strings.Clone(s.client.Host)}
	c.tags = slices.Clone(s.tags)
	for i := range c.tags {
		c.tags[i] = tasks.Tag{Key: strings.Clone(c.tags[i].Key), Value: strings.Clone(c.tags[i].Value)}
	}
	if s.endpoint != nil {
		c.endpoint = &streamsEndpoint{strings.Clone(s.endpoint.host), s.endpoint.port}
	}
	return &c
}

// assignmentSettings are those that an assignment depends on, as records have them.
func assignmentSettings(cfg *config.StreamsGroup) []setting {
	list := []setting{{"num.standby.replicas", strconv.Itoa(cfg.StandbyReplicas)}}
	if len(cfg.RackTags) > 0 {
		list = append(list, setting{"rack.aware.assignment.tags", strings.Join(cfg.RackTags, ",")})
	}
	return list
}

// validatedEpoch is the topology epoch whose topics are all there; -1: some are not.
func (g *streamsGroup) validatedEpoch(plan *streamsPlan) int32 {
	if t := g.topology.Get(); t != nil && plan.ready() {
		return t.epoch
	}
	return -1
}

// isBehind reports whether topics or settings are others than those of the group's epoch.
func (g *streamsGroup) isBehind(op *coordinator.Op, plan *streamsPlan) bool {
	h := g.head.Get()
	return plan.hash != h.hash || g.validatedEpoch(plan) != h.validated || !slices.Equal(h.configs, assignmentSettings(g.config(op.Image)))
}

// bump raises the group's epoch: its members, its topics or its settings have changed, and targets are to be computed anew.
func (g *streamsGroup) bump(op *coordinator.Op, plan *streamsPlan) {
	next := g.head.Get().next()
	next.hash, next.validated, next.configs = plan.hash, g.validatedEpoch(plan), assignmentSettings(g.config(op.Image))
	op.Emit(&streamsMetadata{group: g.id, streamsEpoch: next})
	g.stir(op)
}

// next is the next epoch, in which nothing else changes.
func (e streamsEpoch) next() streamsEpoch {
	e.epoch++
	return e
}
