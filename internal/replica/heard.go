package replica

import (
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// stoodStill is the time between two looks at the partitions after which this broker was not running, or not able to ask the controller.
const stoodStill = 2 * time.Second

// heard is when each follower's broker asked this one last. There are no more than brokers that have been registered.
type heard struct {
	mu    sync.Mutex // guards what follows; a leaf, taken under the locks of partitions
	last  map[kafka.BrokerID]time.Time
	look  time.Time // at the partitions, the last one
	awake time.Time // since when this broker listens
}

// Heard notes that a broker, which the metadata has, asks for records of partitions that are led here, or is being answered.
func (m *Manager) Heard(id kafka.BrokerID) {
	now, h := m.opts.Now(), &m.heard
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last == nil {
		h.last = map[kafka.BrokerID]time.Time{}
	}
	h.last[id] = now
}

// of is partition.Host.Heard. Who stood still itself has heard nobody, so all are given time from when it goes on.
func (h *heard) of(id kafka.BrokerID) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if last := h.last[id]; last.After(h.awake) {
		return last
	}
	return h.awake
}

// looked notes that the partitions are looked at now, which is done every second (mostLook) as long as this broker runs.
func (h *heard) looked(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Sub(h.look) > stoodStill {
		h.awake = now
	}
	h.look = now
}
