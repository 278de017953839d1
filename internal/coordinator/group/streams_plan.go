package group

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Statuses that a heartbeat tells a member, with Kafka's numbers.
const (
	statusStaleTopology          int8 = 0
	statusMissingSourceTopics    int8 = 1
	statusIncorrectlyPartitioned int8 = 2
	statusMissingInternalTopics  int8 = 3
	statusShutdownApplication    int8 = 4
	statusAssignmentDelayed      int8 = 5
	statusMissingClientTags      int8 = 6 // from version 1 on
)

// streamsPlan is what a topology comes to with the topics there are: how many tasks each subtopology has, and which topics are missing.
type streamsPlan struct {
	hash          int64 // of the topics required
	subtopologies []plannedSubtopology
	missing       []StreamsTopic
	// problem is why tasks cannot run yet; nil: they can.
	problem *topicProblem
}

// plannedSubtopology is a subtopology with the numbers of partitions decided.
type plannedSubtopology struct {
	*streamsSubtopology
	tasks      int32
	partitions map[string]int32 // of its repartition sources and changelogs
}

// topicProblem is a status with its text.
type topicProblem struct {
	status int8
	text   string
}

func (p *topicProblem) Error() string { return p.text }

// StreamsTopic is a topic that a streams group wants created.
type StreamsTopic struct {
	Name        string
	Partitions  int32
	Replication int16 // -1: the default
	Configs     [][2]string
}

// CreateStreamsTopics is an effect: the topics of a group that its tasks need and that do not exist. That they have come the group sees by itself;
// that they could not be created it is told with StreamsTopicsFailed.
type CreateStreamsTopics struct {
	Group  string
	Topics []StreamsTopic
}

// planStreams decides how many partitions the topics of a group have, and compares that with the topics there are. Errors: STREAMS_INVALID_TOPOLOGY,
// when no topics whatever could make it work.
func planStreams(t *streamsTopology, img *metadata.Image) (*streamsPlan, error) {
	p := &streamsPlan{hash: topicsHash(img, t.required())}
	c := partitionCounter{img: img, decided: map[string]int32{}}
	err := c.decide(t)
	if err == nil {
		err = p.compare(t, &c)
	}
	if problem, ok := err.(*topicProblem); ok {
		p.problem, p.subtopologies, p.missing = problem, nil, nil
		return p, nil
	}
	if err == nil && len(p.missing) > 0 {
		p.problem = &topicProblem{statusMissingInternalTopics, "Internal topics are missing: " + summary(namesOf(p.missing))}
	}
	return p, err
}

// compare fills p in from what was decided.
func (p *streamsPlan) compare(t *streamsTopology, c *partitionCounter) error {
	for i := range t.subtopologies {
		s := &t.subtopologies[i]
		n, _ := c.tasks(s)
		planned := plannedSubtopology{streamsSubtopology: s, tasks: n, partitions: map[string]int32{}}
		for _, topic := range slices.Concat(s.repartitionSources, s.changelogs) {
			want := c.decided[topic.name]
			planned.partitions[topic.name] = want
			if there := c.img.Topics.ByName(topic.name); there == nil {
				p.miss(topic, want)
			} else if has := int32(len(there.Partitions)); has != want {
				return &topicProblem{statusIncorrectlyPartitioned, fmt.Sprintf("Existing topic %s has different number of partitions: expected %d, found %d", topic.name, want, has)}
			}
		}
		p.subtopologies = append(p.subtopologies, planned)
	}
	return nil
}

func (p *streamsPlan) miss(topic streamsTopic, partitions int32) {
	if slices.ContainsFunc(p.missing, func(m StreamsTopic) bool { return m.Name == topic.name }) {
		return // two subtopologies may name one topic
	}
	m := StreamsTopic{Name: topic.name, Partitions: partitions, Replication: topic.replication}
	if m.Replication == 0 {
		m.Replication = -1
	}
	for _, c := range topic.configs {
		m.Configs = append(m.Configs, [2]string{c.key, c.value})
	}
	p.missing = append(p.missing, m)
}

// ready reports whether tasks can run.
func (p *streamsPlan) ready() bool { return p.problem == nil }

// subtopology finds one by its id, or returns nil.
func (p *streamsPlan) subtopology(id string) *plannedSubtopology {
	i, ok := slices.BinarySearchFunc(p.subtopologies, id, func(s plannedSubtopology, id string) int { return cmp.Compare(s.id, id) })
	if !ok {
		return nil
	}
	return &p.subtopologies[i]
}

// sources are the subtopologies as the assignor sees them.
func (p *streamsPlan) sources() []tasks.Source {
	list := make([]tasks.Source, len(p.subtopologies))
	for i := range p.subtopologies {
		s := &p.subtopologies[i]
		list[i] = tasks.Source{ID: s.id, Tasks: s.tasks, Stateful: len(s.changelogs) > 0}
	}
	return list
}

func namesOf(list []StreamsTopic) []string {
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	slices.Sort(names)
	return names
}

// summary lists the first of some names.
func summary(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d additional topics", strings.Join(names[:most], ", "), len(names)-most)
}
