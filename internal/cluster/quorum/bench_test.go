package quorum_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/rafka-io/rafka/internal/cluster/quorum/quorumtest"
	"github.com/rafka-io/rafka/internal/metadata"
)

// A commit of a cluster: one at a time, and 32 at a time, which share transactions.
func BenchmarkClusterCommit(b *testing.B) {
	for _, members := range []int{1, 3} {
		for _, writers := range []int{1, 32} {
			b.Run(fmt.Sprintf("members=%d/writers=%d", members, writers), func(b *testing.B) {
				l := leader(b, startNew(b, members)...)
				term := l.Leadership().Term
				b.ResetTimer()
				var wg sync.WaitGroup
				for w := range writers {
					wg.Go(func() {
						for i := w; i < b.N; i += writers {
							if _, err := l.Commit(b.Context(), term, nil, []metadata.Record{quorumtest.Set(fmt.Sprint("k", w), "v")}); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}
