package chaos

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/test/chaos/internal/wires"
)

// harm is one thing that is done to a cluster.
type harm struct {
	name string
	// do does it to broker i, which is one by chance or the controller. What it does to the net is taken back by Net.Heal, the rest by undo (nil:
	// nothing). The dice say how much.
	do func(c *cluster, i int, dice *rand.Rand) (undo func(), told string)
}

// harms is the list from which a schedule chooses.
var harms = []harm{
	{"kill", func(c *cluster, i int, _ *rand.Rand) (func(), string) {
		if c.Procs[i] != nil {
			c.Kill(i)
		}
		return nil, ""
	}},
	{"freeze", func(c *cluster, i int, _ *rand.Rand) (func(), string) {
		if c.Procs[i] == nil {
			return nil, "runs no more"
		}
		c.Freeze(i)
		frozen := c.Procs[i]
		return func() {
			if c.Procs[i] == frozen {
				c.Thaw(i)
			}
		}, ""
	}},
	{"cut off", func(c *cluster, i int, _ *rand.Rand) (func(), string) {
		c.cut([]int{i}, append(c.others(i), c.clients()))
		c.cut(append(c.others(i), c.clients()), []int{i})
		return nil, ""
	}},
	{"cut off from brokers only", func(c *cluster, i int, _ *rand.Rand) (func(), string) {
		c.cut([]int{i}, c.others(i))
		c.cut(c.others(i), []int{i})
		return nil, ""
	}},
	{"hears no broker", func(c *cluster, i int, _ *rand.Rand) (func(), string) {
		c.cut(c.others(i), []int{i})
		return nil, ""
	}},
	{"is heard by no broker", func(c *cluster, i int, _ *rand.Rand) (func(), string) {
		c.cut([]int{i}, c.others(i))
		return nil, ""
	}},
	{"cut off from one other", func(c *cluster, i int, dice *rand.Rand) (func(), string) {
		j := c.others(i)[dice.IntN(len(c.Procs)-1)]
		c.net.Both(i, j, wires.Rule{Cut: true})
		return nil, fmt.Sprintf("from %d", j+1)
	}},
	{"cut off from clients", func(c *cluster, i int, _ *rand.Rand) (func(), string) {
		c.net.Both(i, c.clients(), wires.Rule{Cut: true})
		return nil, ""
	}},
	{"slow wires", func(c *cluster, _ int, dice *rand.Rand) (func(), string) {
		r := wires.Rule{Delay: time.Duration(1+dice.IntN(30)) * time.Millisecond, Jitter: time.Duration(1+dice.IntN(30)) * time.Millisecond}
		c.everywhere(r)
		return nil, fmt.Sprint(r.Delay, " to ", r.Delay+r.Jitter)
	}},
	{"bad wires", func(c *cluster, _ int, dice *rand.Rand) (func(), string) {
		r := wires.Rule{Loss: 0.01 + 0.09*dice.Float64(), Duplicate: 0.05 * dice.Float64(), Jitter: time.Duration(1+dice.IntN(5)) * time.Millisecond, Reorder: true}
		c.everywhere(r)
		return nil, fmt.Sprintf("%.1f %% of the packets are lost, some come twice or in another order", 100*r.Loss)
	}},
	{"disk full", func(c *cluster, _ int, _ *rand.Rand) (func(), string) {
		if c.filler == "" {
			return nil, "no: there is no small disk"
		}
		c.fill()
		return c.empty, fmt.Sprintf("that of %d", smallDisk+1)
	}},
}

// everywhere gives all wires a rule, but for those that are cut.
func (c *cluster) everywhere(r wires.Rule) {
	for a := range len(c.Procs) + 1 {
		for b := range len(c.Procs) + 1 {
			c.net.Worsen(a, b, r)
		}
	}
}

// round does one to three things to the cluster, waits, takes them back and waits until the cluster is whole.
func (c *cluster) round(dice *rand.Rand, cl *kgo.Client, chosen []harm, hold time.Duration) {
	var undo []func()
	var told []string
	for _, h := range chosen {
		i := dice.IntN(len(c.Procs))
		if dice.IntN(3) == 0 {
			i = c.controller(cl)
		}
		u, how := h.do(c, i, dice)
		if u != nil {
			undo = append(undo, u)
		}
		told = append(told, strings.TrimSpace(fmt.Sprintf("broker %d: %s %s", i+1, h.name, how)))
		time.Sleep(time.Duration(dice.IntN(500)) * time.Millisecond)
	}
	c.T.Logf("%s; for %v", strings.Join(told, "; "), hold)
	time.Sleep(hold)
	c.net.Heal()
	for _, u := range undo {
		u()
	}
	c.bury()
	c.Start()
	began := time.Now()
	c.whole(cl, wholeAgain)
	c.T.Logf("whole again after %v", time.Since(began).Round(time.Millisecond))
}
