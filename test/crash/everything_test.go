package crash

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/rafka-io/rafka/internal/porttest"
	"github.com/rafka-io/rafka/internal/testbin"
	"github.com/rafka-io/rafka/test/workload"
)

// TestKillKeepsEveryPromise runs producers, transactional pipelines, groups of both protocols and a queue ordered by key while the server is
// killed with SIGKILL and started again. Then: what pipelines committed is in the output once, and nothing that they aborted is; no
// partition had two owners; no committed offset went back; every queued record was delivered until it was accepted and not after, and
// never two of one key at once (RELIABILITY T1-T4, G2-G4, P1-P4; WRK-1, WRK-2, WRK-3, WRK-4).
func TestKillKeepsEveryPromise(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	rounds := 1
	if n, err := strconv.Atoi(os.Getenv("RAFKA_CRASH_ROUNDS")); err == nil {
		rounds = n
	}
	w := workload.New(t, 1)
	w.Addrs = porttest.Free(t, 1)
	args := append(w.Args, "--data-dir", t.TempDir(), "--kafka-addr", w.Addrs[0])
	srv := testbin.Start(t, args...)
	w.Run(rounds, func(*rand.Rand) {
		srv.Kill()
		w.Harmed()
		srv = testbin.Start(t, args...)
	}, func() {
		if _, code := srv.Stop(t); code != 0 {
			t.Fatalf("exit code %d after a clean stop:\n%s", code, srv.Log())
		}
		testbin.Start(t, args...)
	})
}
