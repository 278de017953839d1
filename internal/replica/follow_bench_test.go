package replica

import (
	"fmt"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// One record in flight, on three nodes in one process over connections that only encode and decode: what the circle of fetch, append and sync costs
// without network and disk. Others: partitions that are followed and idle.
func BenchmarkOneRecordInFlight(b *testing.B) {
	for _, others := range []int32{0, 100} {
		b.Run(fmt.Sprint("others=", others), func(b *testing.B) {
			c := newCluster(b, 3, 10*time.Second)
			defer c.close()
			c.do(topic("a", 1, partitions(1, everywhere())))
			if others > 0 {
				c.do(topic("b", 2, partitions(others, everywhere())))
			}
			n := c.nodes[1]
			p := n.find(1, 0)
			for range 10 {
				<-n.produce(p, "v")
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := <-n.produce(p, "v"); err != nil {
					b.Fatal(err, kafka.CodeOf(err))
				}
			}
		})
	}
}
