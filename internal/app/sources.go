package app

import (
	"context"
	"fmt"
	"time"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/replica"
	"github.com/rafka-io/rafka/internal/server/httpsrv"
)

// sources are where the metrics page has its numbers from.
func (a *App) sources() httpsrv.Sources {
	return httpsrv.Sources{
		NodeID: a.node, Image: a.loop.Image, Replicas: httpsrv.OfReplicas(a.replicas), Groups: httpsrv.OfGroups(a.groups, a.replicas, time.Now), Notes: a.notes, Doors: a.doors, APIs: a.apis,
		NotReady: func() []string {
			if err := a.whyNotReady(); err != nil {
				return []string{err.Error()}
			}
			return nil
		},
		Unhealthy: a.unhealthy, Compare: a.compare,
	}
}

// notes are the last decisions of the coordinators of this node.
func (a *App) notes(kind, about string) []httpsrv.Note {
	if kind == httpsrv.NotesOfCluster {
		return a.upkeepNotes(about)
	}
	of := a.groups.Notes
	if kind == httpsrv.NotesOfTransactions {
		of = a.txns.Notes
	}
	var list []httpsrv.Note
	for _, n := range of(about) {
		list = append(list, httpsrv.Note{At: n.At, About: n.About, Text: n.Text})
	}
	return list
}

// upkeepNotes are what the controller did by itself lately (about: done), or what it would do next (about: next).
func (a *App) upkeepNotes(about string) (list []httpsrv.Note) {
	ctx, cancel := context.WithTimeout(context.Background(), upkeepPatience)
	defer cancel()
	x, err := a.loop.Explain(ctx)
	if err != nil {
		return nil
	}
	if about == httpsrv.UpkeepNext {
		for _, text := range x.Next {
			list = append(list, httpsrv.Note{At: time.Now(), About: about, Text: text})
		}
		return list
	}
	for _, d := range x.Past {
		list = append(list, httpsrv.Note{At: d.At, About: about, Text: d.Text})
	}
	return list
}

// upkeepPatience is how long the controller may take to tell.
const upkeepPatience = 2 * time.Second

// mostLoads is of how many partitions this node tells the controller what they have to do.
const mostLoads = 200

// loads are the busiest partitions that this node leads.
func (a *App) loads() []controller.Load {
	var list []controller.Load
	for _, x := range a.replicas.Loads(mostLoads) {
		list = append(list, controller.Load(x))
	}
	return list
}

func (a *App) doors() []httpsrv.Door {
	k, t := a.kafka.Stats(), a.text.Stats()
	var errs uint64
	for reason, n := range k.Closed {
		if reason != "client" && reason != "idle" {
			errs += n
		}
	}
	doors := []httpsrv.Door{
		{Name: "kafka", Connections: int64(k.Open), ConnectionErrors: errs, Consumers: -1, Delivered: -1, Failures: -1},
		{Name: "text", Connections: t.Connections, Consumers: t.Consumers, Delivered: t.Delivered, Failures: t.Failures, Publish: &t.Publish, Consume: &t.Delivery},
	}
	if a.grpc != nil {
		g := a.grpc.Stats()
		doors = append(doors, httpsrv.Door{Name: "grpc", Connections: g.Connections, Consumers: g.Streams, Delivered: g.Delivered, Failures: g.Failures, Publish: &g.Publish, Consume: &g.Delivery})
	}
	return doors
}

func (a *App) apis() []httpsrv.API {
	var apis []httpsrv.API
	for _, s := range a.kafka.Stats().APIs {
		apis = append(apis, httpsrv.API{Name: s.Name, Requests: s.Requests, Latency: s.Latency})
	}
	return apis
}

// unhealthy lists what only a person or a restart can mend.
func (a *App) unhealthy() []string {
	var why []string
	if err := a.loop.Err(); err != nil {
		why = append(why, err.Error())
	}
	for _, d := range a.engine.Dirs() {
		if d.Failed != nil {
			why = append(why, fmt.Sprintf("data directory %s is offline: %v", d.Path, d.Failed))
		}
	}
	return why
}

// compare compares the replicas of a partition from an offset on.
func (a *App) compare(ctx context.Context, topic string, partition int32, from int64, thorough bool) (replica.Compared, error) {
	t := a.loop.Image().Topics.ByName(topic)
	if t == nil || partition < 0 || int(partition) >= len(t.Partitions) {
		return replica.Compared{}, kafka.Errorf(kafka.UnknownTopicOrPartition, "there is no partition %d of topic %q", partition, topic)
	}
	p := &t.Partitions[partition]
	return a.replicas.Compare(ctx, replica.Comparison{
		Topic: t.ID, Partition: partition, Leader: p.Leader, Replicas: p.Replicas, ISR: p.ISR, From: kafka.Offset(from), Thorough: thorough,
	}), nil
}
