package controller_test

import (
	"fmt"
	"testing"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
)

// A broker whose disk has failed leads nothing that others can lead, is in sync with nothing, and is not taken for one that has what it has lost (CTL-2).
func TestFailedReplicasGiveWayToOthers(t *testing.T) {
	for name, c := range map[string]struct {
		isr    ids
		leader kafka.BrokerID
		minISR int
		want   string // leader, ISR and ELR
	}{
		"it led":               {ids{1, 2, 3}, 1, 2, "2 [2 3] []"},
		"it followed":          {ids{2, 1, 3}, 2, 2, "2 [2 3] []"},
		"fewer than are asked": {ids{1, 2}, 1, 2, "2 [2] []"},
		"nobody else has it":   {ids{1}, 1, 1, "1 [1] []"},
		"it was not in sync":   {ids{2, 3}, 2, 1, "2 [2 3] []"},
	} {
		img := three(t)
		p := led(ids{1, 2, 3}, c.isr...)
		p.Leader = c.leader
		img = topic(t, img, "t", p)
		env := minISR(c.minISR)
		list := []controller.FailedReplica{{TopicID: img.Topics.ByName("t").ID}, {TopicID: kafka.UUID{9}}, {TopicID: img.Topics.ByName("t").ID, Partition: 7}}
		if _, err := controller.FailReplicas(env, img, 1, 10, list); kafka.CodeOf(err) != kafka.StaleBrokerEpoch {
			t.Errorf("%s: an old epoch: %v", name, err)
		}
		records, err := controller.FailReplicas(env, img, 1, 11, list)
		if err != nil {
			t.Fatal(err)
		}
		img = fold(t, img, records)
		now := state(img, "t")
		if got := fmt.Sprint(now.Leader, now.ISR, now.ELR); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if records, err := controller.FailReplicas(env, img, 1, 11, list); err != nil || len(records) > 0 {
			t.Errorf("%s: a second time: %d records, %v", name, len(records), err)
		}
	}
}

// A broker whose disk is full leads nothing that others can lead and holds nobody up, but it still has what was acknowledged, and may be elected for it (CTL-2).
func TestReplicasWithoutRoomGiveWayToOthers(t *testing.T) {
	for name, c := range map[string]struct {
		isr    ids
		leader kafka.BrokerID
		minISR int
		want   string // leader, ISR and ELR
	}{
		"it led":               {ids{1, 2, 3}, 1, 2, "2 [2 3] []"},
		"it followed":          {ids{2, 1, 3}, 2, 2, "2 [2 3] []"},
		"fewer than are asked": {ids{1, 2}, 1, 2, "2 [2] [1]"},
		"nobody else has it":   {ids{1}, 1, 1, "1 [1] []"},
		"it was not in sync":   {ids{2, 3}, 2, 1, "2 [2 3] []"},
	} {
		img := three(t)
		p := led(ids{1, 2, 3}, c.isr...)
		p.Leader = c.leader
		img = topic(t, img, "t", p)
		env := minISR(c.minISR)
		list := []controller.FailedReplica{{TopicID: img.Topics.ByName("t").ID}}
		if _, err := controller.StepOut(env, img, 1, 10, list); kafka.CodeOf(err) != kafka.StaleBrokerEpoch {
			t.Errorf("%s: an old epoch: %v", name, err)
		}
		records, err := controller.StepOut(env, img, 1, 11, list)
		if err != nil {
			t.Fatal(err)
		}
		img = fold(t, img, records)
		now := state(img, "t")
		if got := fmt.Sprint(now.Leader, now.ISR, now.ELR); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if records, err := controller.StepOut(env, img, 1, 11, list); err != nil || len(records) > 0 {
			t.Errorf("%s: a second time: %d records, %v", name, len(records), err)
		}
	}
}
