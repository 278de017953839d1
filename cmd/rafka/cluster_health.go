package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// healthView uses the names of Redpanda's health overview where it has one.
type healthView struct {
	Healthy         bool     `json:"is_healthy"`
	Controller      int32    `json:"controller_id"`
	Brokers         []int32  `json:"all_nodes"`
	Down            []int32  `json:"nodes_down"`
	Unreachable     []int32  `json:"nodes_unreachable"` // that should serve, and cannot be reached from here
	Leaderless      []string `json:"leaderless_partitions"`
	UnderReplicated []string `json:"under_replicated_partitions"`
	UnderMinISR     []string `json:"under_min_isr_partitions"` // producers with acks=all are refused
	Offline         []string `json:"offline_replicas"`
	Moving          int      `json:"moving_partitions"` // whose replicas are changing; that is no illness
	Draining        []int32  `json:"draining_nodes"`    // whose replicas move to others; the same
	// Of those that keep the metadata and vote on it; 0 and none where the cluster does not tell.
	Voters     int      `json:"voters"`
	DeadVoters []int32  `json:"dead_voters"`
	Advice     []string `json:"advice"` // what to do about each illness

	// Topics whose min.insync.replicas is more than the replicas they have, and how many of the partitions under min ISR those are.
	neverEnough           []string
	neverEnoughPartitions int
}

func newClusterHealth(c *clusterCommand) *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Find brokers that are down, partitions without a leader or with too few replicas; exit 1 if there are any",
		Long: `Find what is wrong with a cluster; exit 1 if something is.

  down              brokers that are fenced, or hold replicas and are not named by the cluster
  unreachable       brokers that the cluster takes for alive, and that this machine cannot reach
  leaderless        partitions that can neither be written nor read
  under-replicated  partitions of which a replica is not as far as its leader
  under min ISR     partitions with fewer replicas in sync than min.insync.replicas: producers with acks=all are refused
  offline replicas  replicas whose broker is down, or whose disk has failed
  voters            those that keep the cluster's metadata; a majority must live

It says what to do about each. Brokers that drain and partitions that move are named, and are no illness.`,
		Args: arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				n, err := loadNodes(ctx, adm)
				if err != nil {
					return err
				}
				n.ask(ctx, adm)
				v := judgeHealth(n.meta, loadFacts(ctx, adm, n))
				if err := c.print(cmd.OutOrStdout(), v, func(tb *table) { printHealth(tb, v) }); err != nil {
					return err
				}
				if !v.Healthy {
					return errors.New("the cluster is not healthy")
				}
				return nil
			})
		},
	}
}

// clusterFacts is what the metadata do not say. All of it may be missing: clusters do not tell everybody everything.
type clusterFacts struct {
	fenced []int32
	silent []int32        // should serve, and cannot be reached from here
	minISR map[string]int // by topic
	moving kadm.ListPartitionReassignmentsResponses
	// draining brokers, and who votes.
	draining []int32
	quorum   *quorumView
}

// settingsAtOnce bounds the topics whose settings one request asks for.
const settingsAtOnce = 500

func loadFacts(ctx context.Context, adm *admin, n *nodes) clusterFacts {
	f := clusterFacts{minISR: map[string]int{}}
	for _, node := range n.list {
		if node.State == stateFenced {
			f.fenced = append(f.fenced, node.ID)
		}
		if node.State == stateUnreachable {
			f.silent = append(f.silent, node.ID)
		}
		if node.Draining {
			f.draining = append(f.draining, node.ID)
		}
	}
	// What the controller is asked for is not told if it has died and none could follow it; the rest is to be found out all the same.
	asking, cancel := context.WithTimeout(ctx, 2*askPatience)
	defer cancel()
	f.quorum, _ = loadQuorum(asking, adm)                     // not told: then nothing is said of it
	f.moving, _ = adm.ListPartitionReassignments(asking, nil) // not told: then none
	for topics := range slices.Chunk(n.meta.Topics.Names(), settingsAtOnce) {
		for topic, min := range minISR(ctx, adm, topics) {
			f.minISR[topic] = min
		}
	}
	return f
}

func judgeHealth(m kadm.Metadata, f clusterFacts) healthView {
	v := healthView{
		Controller: m.Controller, Brokers: m.Brokers.NodeIDs(), Down: slices.Clone(f.fenced), Unreachable: append([]int32{}, f.silent...),
		Leaderless: []string{}, UnderReplicated: []string{}, UnderMinISR: []string{}, Offline: []string{},
		Draining: append([]int32{}, f.draining...), DeadVoters: []int32{},
	}
	if f.quorum != nil {
		for _, voter := range f.quorum.Nodes {
			if voter.Role == roleObserver {
				continue
			}
			if v.Voters++; voter.LogEnd < 0 {
				v.DeadVoters = append(v.DeadVoters, voter.ID)
			}
		}
	}
	for _, t := range m.Topics.Sorted() {
		for _, p := range t.Partitions.Sorted() {
			name := fmt.Sprintf("%s/%d", t.Topic, p.Partition)
			moving := f.moving[t.Topic][p.Partition]
			// What a move adds is not missed before it is there.
			missing := slices.DeleteFunc(slices.Clone(p.Replicas), func(r int32) bool {
				return slices.Contains(p.ISR, r) || slices.Contains(moving.AddingReplicas, r)
			})
			if len(missing) > 0 {
				v.UnderReplicated = append(v.UnderReplicated, name)
			}
			switch {
			case p.Leader < 0:
				v.Leaderless = append(v.Leaderless, name)
			case len(p.ISR) < f.minISR[t.Topic]:
				v.UnderMinISR = append(v.UnderMinISR, fmt.Sprintf("%s has %d of %d", name, len(p.ISR), f.minISR[t.Topic]))
				if len(p.Replicas) < f.minISR[t.Topic] {
					if v.neverEnoughPartitions++; !slices.Contains(v.neverEnough, t.Topic) {
						v.neverEnough = append(v.neverEnough, t.Topic)
					}
				}
			}
			for _, r := range p.OfflineReplicas {
				v.Offline = append(v.Offline, fmt.Sprintf("%s on broker %d", name, r))
			}
			v.Down = append(v.Down, slices.DeleteFunc(slices.Clone(p.Replicas), func(r int32) bool { return slices.Contains(v.Brokers, r) })...)
		}
	}
	for _, partitions := range f.moving {
		v.Moving += len(partitions)
	}
	v.Down = append([]int32{}, slices.Compact(slices.Sorted(slices.Values(v.Down)))...)
	v.Healthy = v.Controller >= 0 && len(v.Down)+len(v.Unreachable)+len(v.Leaderless)+len(v.UnderReplicated)+len(v.UnderMinISR)+len(v.Offline)+len(v.DeadVoters) == 0
	v.advise()
	return v
}

// mostShown is how many partitions of each illness the text names: what to do about them is below, and must not be pushed out of sight.
const mostShown = 20

func printHealth(tb *table, v healthView) {
	tb.row("healthy", v.Healthy)
	if v.Controller < 0 {
		tb.row("controller", "none: topics cannot be changed until the brokers have elected one")
	} else {
		tb.row("controller", v.Controller)
	}
	if v.Voters > 0 {
		alive, need := v.Voters-len(v.DeadVoters), v.Voters/2+1
		switch {
		case len(v.DeadVoters) == 0:
			tb.row("voters", fmt.Sprintf("%d, all alive", v.Voters))
		case alive < need:
			tb.row("voters", fmt.Sprintf("%d of %d alive, %d must be; dead: %v", alive, v.Voters, need, v.DeadVoters))
		default:
			tb.row("voters", fmt.Sprintf("%d of %d alive, %d more may die; dead: %v", alive, v.Voters, alive-need, v.DeadVoters))
		}
	}
	tb.row("brokers", v.Brokers)
	if len(v.Down) > 0 {
		tb.row("down", v.Down)
	}
	if len(v.Unreachable) > 0 {
		tb.row("unreachable", v.Unreachable)
	}
	for _, list := range []struct {
		name string
		of   []string
	}{{"leaderless", v.Leaderless}, {"under-replicated", v.UnderReplicated}, {"under min ISR", v.UnderMinISR}, {"offline replicas", v.Offline}} {
		tb.row(list.name, len(list.of))
		shown := list.of[:min(mostShown, len(list.of))]
		for _, name := range shown {
			tb.row("", name)
		}
		if more := len(list.of) - len(shown); more > 0 {
			tb.row("", fmt.Sprintf("… and %d more, of which --format json tells", more))
		}
	}
	if len(v.Draining) > 0 {
		tb.row("draining", v.Draining)
	}
	if v.Moving > 0 {
		tb.row("moving", v.Moving)
	}
	if len(v.Advice) > 0 {
		tb.section("WHAT TO DO")
		for _, a := range v.Advice {
			tb.row(a)
		}
	}
}

// advise says what to do about each illness.
func (v *healthView) advise() {
	v.Advice = []string{}
	say := func(ill bool, format string, args ...any) {
		if ill {
			v.Advice = append(v.Advice, fmt.Sprintf(format, args...))
		}
	}
	say(v.Controller < 0, "no controller: a majority of the voters must run and reach each other; start those that are down")
	say(len(v.Down) > 0, "down %v: start them, or if one is gone for good: rafka cluster decommission ID", v.Down)
	say(len(v.Unreachable) > 0, "unreachable %v: the cluster takes them for alive. Either this machine cannot reach them (rafka doctor), or they have just died, or so many voters have that nobody can decide it: start them", v.Unreachable)
	say(len(v.DeadVoters) > 0, "dead voters %v: start them; one that stays dead for rafka.quorum.replace.ms loses its vote to a broker that has none", v.DeadVoters)
	say(len(v.Leaderless) > 0, "leaderless: start a broker that has the data (rafka topic describe TOPIC names them); electing another one loses what it lacks: rafka topic elect")
	say(len(v.neverEnough) > 0, "under min ISR for good: min.insync.replicas is more than the replicas of %v; lower it (rafka config set), or give them more (rafka topic reassign)", v.neverEnough)
	say(len(v.UnderMinISR) > v.neverEnoughPartitions, "under min ISR: bring brokers back, producers with acks=all wait for them; or lower min.insync.replicas and accept what that means")
	say(len(v.UnderReplicated) > 0 && len(v.Down) == 0, "under-replicated although nobody is down: replicas are catching up; if it stays, look into the log of the brokers that rafka topic describe misses in ISR")
	say(len(v.Offline) > 0 && len(v.Down) == 0, "offline replicas although nobody is down: a disk has failed; see the log of its broker, repair and restart it")
}
