package chaos

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/test/workload"
)

// wholeAgain is how long a cluster may take to be whole after all was mended.
const wholeAgain = 30 * time.Second

// rounds are how many a test has; long says whether somebody asked for that many.
func rounds(t *testing.T, short int) (n int, long bool) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	if v := os.Getenv("RAFKA_CHAOS_ROUNDS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			t.Fatalf("RAFKA_CHAOS_ROUNDS=%q: want a number of rounds", v)
		}
		return n, true
	}
	return short, false
}

// Nothing acknowledged is lost, doubled, reordered or torn, whatever is done to three brokers (WRK-1, WRK-2, WRK-3, WRK-4).
func TestThreeBrokersKeepEveryPromise(t *testing.T) {
	n, long := rounds(t, 1)
	run(t, 3, n, long)
}

// The same with five, of which two at a time may be harmed without an end of service.
func TestFiveBrokersKeepEveryPromise(t *testing.T) {
	n, long := rounds(t, 1)
	if !long {
		t.Skip("takes too long for every day: RAFKA_CHAOS_ROUNDS=1 runs one round")
	}
	run(t, 5, n, long)
}

// run does things at random. Each round lasts half a second to six seconds; to two and a half if nobody asked for many.
func run(t *testing.T, brokers, rounds int, long bool) {
	longest := 2000
	if long {
		longest = 5500
	}
	world(t, brokers, rounds, func(c *cluster, cl *kgo.Client, dice *rand.Rand) {
		chosen := make([]harm, 1+dice.IntN(1+brokers/2))
		for i := range chosen {
			chosen[i] = harms[dice.IntN(len(harms))]
		}
		c.round(dice, cl, chosen, time.Duration(500+dice.IntN(longest))*time.Millisecond)
	})
}

// Each harm by itself, so that what is found is found for a reason.
func TestEachHarmAlone(t *testing.T) {
	n, long := rounds(t, 1)
	if !long {
		t.Skip("takes too long for every day: RAFKA_CHAOS_ROUNDS=1 runs it")
	}
	for _, h := range harms {
		t.Run(h.name, func(t *testing.T) {
			world(t, 3, n, func(c *cluster, cl *kgo.Client, dice *rand.Rand) { c.round(dice, cl, []harm{h}, 5*time.Second) })
		})
	}
}

// world runs the workload on a cluster and does something to it in each round.
func world(t *testing.T, brokers, rounds int, do func(c *cluster, cl *kgo.Client, dice *rand.Rand)) {
	w := workload.New(t, 3)
	c := newCluster(t, brokers, w.Seed, append(w.Args, "--set", "min.insync.replicas=2", "--set", "rafka.log.hot.bytes=16777216")...)
	defer c.Logs()
	c.shrink(256)
	c.Start()
	w.Addrs, w.Dial = c.Kafka, c.net.Dial(c.clients(), time.Second)
	w.Session, w.Patience = 30*time.Second, 60*time.Second
	cl := c.client()
	defer cl.Close()
	w.Run(rounds, func(dice *rand.Rand) {
		w.Harmed()
		do(c, cl, dice)
		w.Harmed()
	}, func() {
		for i := range c.Procs {
			c.Stop(i)
		}
		c.Start()
	})
}
