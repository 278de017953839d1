package group

import (
	"time"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// streamsGroup is a group of KIP-1071. Its records are in streams_record_*.go; what they do not say follows from them, and is kept here so that no
// operation has to search for it, or is worth no record.
type streamsGroup struct {
	s  *Shard
	id string

	head     *timeline.Value[streamsHead]
	topology *timeline.Value[*streamsTopology]
	members  *timeline.Map[string, *streamsMember]
	targets  *timeline.Map[string, tasks.Assignment]

	active    *timeline.Map[tasks.Task, string] // who runs a task: it is assigned, or not yet given up (GRP-1)
	local     *timeline.Map[localTask, string]  // who in a process has a task, in whatever role
	instances *timeline.Map[string, string]     // the member of an instance id

	soft     *timeline.Value[streamsSoft]
	progress *timeline.Map[string, *taskProgress]

	settings groupSettings
	planned  plannedTopology
}

// localTask is a task in a process.
type localTask struct {
	tasks.Task
	process string
}

// streamsHead is what a streams group knows of itself as a whole.
type streamsHead struct {
	streamsEpoch
	targetEpoch int32 // the epoch that targets are for; epoch > targetEpoch: they are to be computed
	targetAt    kafka.Timestamp
	settled     int // members that have reached targetEpoch
}

// streamsSoft is what no record tells; it is lost when a shard moves.
type streamsSoft struct {
	stirred   time.Time // when something last changed that members must hear of
	delayed   bool      // the first assignment waits for more members (streams.initial.rebalance.delay.ms)
	shutdown  string    // the member that wants the whole application to end; "": nobody
	endpoints int32     // the epoch of what members are told about each other's endpoints
	refined   *refinement
	asked     time.Time // when missing topics were last asked for
	failed    string    // why they could not be created
}

// firstStreamsEpoch is that of a group that nobody has joined yet, and of its assignment, which is empty.
const firstStreamsEpoch = 1

var _ classicHost = (*streamsGroup)(nil)

func newStreamsGroup(s *Shard, id string) *streamsGroup {
	return &streamsGroup{
		s: s, id: id,
		head: timeline.NewValue(s.reg, streamsHead{
			streamsEpoch: streamsEpoch{epoch: firstStreamsEpoch, validated: -1, described: -1, descriptionFailed: -1}, targetEpoch: firstStreamsEpoch,
		}),
		topology: timeline.NewValue[*streamsTopology](s.reg, nil),
		members:  timeline.NewMap[string, *streamsMember](s.reg), targets: timeline.NewMap[string, tasks.Assignment](s.reg),
		active: timeline.NewMap[tasks.Task, string](s.reg), local: timeline.NewMap[localTask, string](s.reg),
		instances: timeline.NewMap[string, string](s.reg), soft: timeline.NewValue(s.reg, streamsSoft{}),
		progress: timeline.NewMap[string, *taskProgress](s.reg),
	}
}

func (g *streamsGroup) name() string  { return g.id }
func (g *streamsGroup) kind() kind    { return kindStreams }
func (g *streamsGroup) isEmpty() bool { return g.members.Len() == 0 }

func (g *streamsGroup) state(at coordinator.View) string {
	h, members, t := g.head.GetAt(at.Committed), g.members.LenAt(at.Committed), g.topology.GetAt(at.Committed)
	switch {
	case members == 0:
		return "Empty"
	case t == nil || t.epoch != h.validated:
		return "NotReady"
	case h.epoch > h.targetEpoch:
		return "Assigning"
	case h.settled < members:
		return "Reconciling"
	}
	return "Stable"
}

func (g *streamsGroup) protocol(coordinator.View) (typ, name string) {
	return "streams", tasks.StickyName
}

// checkDelete refuses to delete a group that has members.
func (g *streamsGroup) checkDelete() error {
	if !g.isEmpty() {
		return kafka.Errorf(kafka.NonEmptyGroup, "Group %s has members; stop its applications first.", g.id)
	}
	return nil
}

// remove emits the tombstones of the group, members first.
func (g *streamsGroup) remove(op *coordinator.Op) {
	for _, m := range g.sorted() {
		g.removeMember(op, m)
	}
	op.Emit(&streamsTarget{group: g.id, gone: true})
	op.Emit(&streamsTopologyRecord{group: g.id})
	op.Emit(&streamsMetadata{group: g.id, gone: true})
	op.Cancel(g.assignTimer())
	op.Cancel(g.delayTimer())
}

// usesTopic reports whether a member reads the topic.
func (g *streamsGroup) usesTopic(topic string) bool {
	return !g.isEmpty() && g.topology.Get().reads(topic) != nil
}

// sorted lists the members by id.
func (g *streamsGroup) sorted() []*streamsMember {
	list := make([]*streamsMember, 0, g.members.Len())
	for _, id := range sortedKeys(g.members) {
		m, _ := g.members.Get(id)
		list = append(list, m)
	}
	return list
}

// config is for operations; a read must not remember anything, and calls Env.Config.
func (g *streamsGroup) config(img *metadata.Image) *config.StreamsGroup {
	return &g.settings.get(g.s.env, img, g.id).Streams
}

// plannedTopology is the plan of a topology as of an image. Like settings it is no state, for it follows from both.
type plannedTopology struct {
	topology *streamsTopology
	img      *metadata.Image
	plan     *streamsPlan
	err      error
}

// plan is what the group's topology comes to with the topics there are. For operations only.
func (g *streamsGroup) plan(img *metadata.Image) (*streamsPlan, error) {
	t := g.topology.Get()
	if t == nil { // the log has lost its record
		t = noTopology
	}
	if g.planned.topology != t || g.planned.img != img {
		g.planned = plannedTopology{topology: t, img: img}
		g.planned.plan, g.planned.err = planStreams(t, img)
	}
	return g.planned.plan, g.planned.err
}

// noTopology has nothing to run.
var noTopology = &streamsTopology{epoch: -1}

// change sets what no record tells.
func (g *streamsGroup) change(f func(*streamsSoft)) {
	soft := g.soft.Get()
	f(&soft)
	g.soft.Set(soft)
}

// stir notes that members should hear soon of what happened in this operation.
func (g *streamsGroup) stir(op *coordinator.Op) {
	g.change(func(s *streamsSoft) { s.stirred = op.Now })
}
