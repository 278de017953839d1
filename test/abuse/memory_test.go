package abuse

import (
	"os"
	"strconv"
	"strings"
)

// peak begins to note the largest resident memory of the server; read tells it, -1 where the system does not.
func (w *world) peak() (read func() int64) {
	w.t.Helper()
	_ = os.WriteFile(proc(w.Pid, "clear_refs"), []byte("5"), 0)
	return func() int64 {
		b, err := os.ReadFile(proc(w.Pid, "status"))
		if err != nil {
			return -1
		}
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
				if err == nil {
					return kib << 10
				}
			}
		}
		return -1
	}
}

func proc(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// grewAtMost fails when memory rose by more than that since before, and logs by how much it did.
func (w *world) grewAtMost(peak func() int64, most int64, what string) {
	w.t.Helper()
	now := peak()
	if now < 0 {
		return
	}
	w.t.Logf("%s: resident memory rose by %d MiB to %d MiB at its peak", what, (now-w.before.rss)>>20, now>>20)
	if now-w.before.rss > most {
		w.t.Errorf("%s: resident memory rose by %d MiB, allowed are %d", what, (now-w.before.rss)>>20, most>>20)
	}
}
