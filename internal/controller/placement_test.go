package controller_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
)

// Replicas of a partition are in as many racks as there are, never on a broker that is fenced, stops or drains where enough others are there,
// and where there are not, the new partition is led and in sync where it can be. Adding partitions later places them as if made at once.
func TestPlacementSpreadsOverRacks(t *testing.T) {
	for range 300 {
		seed := seed.Of(t)
		rng := rand.New(rand.NewPCG(seed, 23))
		var list []metadata.Broker
		good, living, racks := map[kafka.BrokerID]bool{}, 0, map[string]bool{}
		for id := range kafka.BrokerID(2 + rng.IntN(7)) {
			b := metadata.Broker{ID: id, Rack: string(rune('a' + rng.IntN(4))), Fenced: rng.IntN(6) == 0, ShuttingDown: rng.IntN(8) == 0, Draining: rng.IntN(6) == 0}
			if !b.Fenced && !b.ShuttingDown {
				living++
			}
			if !b.Fenced && !b.ShuttingDown && !b.Draining {
				good[id], racks[b.Rack] = true, true
			}
			list = append(list, b)
		}
		img := brokers(t, list...)
		partitions, replication := int32(2+rng.IntN(30)), int16(1+rng.IntN(len(list)))
		ask := controller.NewTopic{Name: "t", Partitions: partitions, Replication: replication}
		records, answers := controller.CreateTopics(testEnv(), img, []controller.NewTopic{ask})
		if living == 0 {
			if said(answers[0].Err) != fmt.Sprintf("INVALID_REPLICATION_FACTOR: Unable to replicate the partition %d time(s): All brokers are currently fenced.", replication) {
				t.Fatalf("seed %d: %v", seed, answers[0].Err)
			}
			continue
		}
		if answers[0].Err != nil {
			t.Fatalf("seed %d: %v", seed, answers[0].Err)
		}
		at := fold(t, img, records)
		whole := at.Topics.ByName("t").Partitions
		for i, p := range whole {
			in := map[string]bool{}
			for _, id := range p.Replicas {
				b := img.Brokers[id]
				in[b.Rack] = true
				if !good[id] && len(good) >= int(replication) {
					t.Fatalf("seed %d: partition %d is %+v, but broker %d is %+v", seed, i, p, id, b)
				}
				if inSync := slices.Contains(p.ISR, id); inSync == (b.Fenced || b.ShuttingDown) {
					t.Fatalf("seed %d: partition %d is %+v, but broker %d is %+v", seed, i, p, id, b)
				}
			}
			if len(p.Replicas) != int(replication) || !slices.Contains(p.ISR, p.Leader) || p.Leader != p.Replicas[0] {
				t.Fatalf("seed %d: partition %d is %+v", seed, i, p)
			}
			if len(good) >= int(replication) && len(in) < min(len(racks), int(replication)) {
				t.Fatalf("seed %d: partition %d is %+v, in %d racks of %d", seed, i, p, len(in), len(racks))
			}
		}
		// In two parts.
		ask.Partitions = 1 + rng.Int32N(partitions-1)
		records, _ = controller.CreateTopics(testEnv(), img, []controller.NewTopic{ask})
		img = fold(t, img, records)
		records, errs := controller.CreatePartitions(testEnv(), img, []controller.MorePartitions{{Topic: "t", Total: partitions}})
		if errs[0] != nil {
			t.Fatal(errs)
		}
		for i, p := range fold(t, img, records).Topics.ByName("t").Partitions {
			wantState(t, fmt.Sprintf("seed %d: partition %d, made in two parts", seed, i), p, whole[i])
		}
	}
}

// When a broker dies, what it led goes to all others and not to its neighbour.
func TestLeadersOfADeadBrokerAreSpread(t *testing.T) {
	env := testEnv()
	img := newTopic(t, env, five(t), "t", 100, 3)
	img = fold(t, img, controller.FenceBroker(env, img, 2))
	_, _, leads := load(img)
	wantEven(t, "leaders", leads, 1, 3, 4, 5)
}
