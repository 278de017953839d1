package app

import (
	"fmt"
	"time"

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
		Unhealthy: a.unhealthy,
	}
}

// notes are the last decisions of the coordinators of this node.
func (a *App) notes(kind, about string) []httpsrv.Note {
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
