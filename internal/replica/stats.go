package replica

import "github.com/rafka-io/rafka/internal/partition"

// Counts is what the partitions of this node add up to.
type Counts struct {
	Topics      int
	Partitions  int
	Leaders     int              // partitions that this node leads
	UnderMinISR int              // led here, with fewer replicas in sync than min.insync.replicas
	AtMinISR    int              // led here, with just as many
	Offline     int              // partitions whose log failed
	Total       *partition.Stats // of all topics, removed ones included
}

// Counts adds up. It opens nothing.
func (m *Manager) Counts() Counts {
	c := Counts{Total: &partition.Stats{}}
	m.mu.Lock()
	m.gone.AddTo(c.Total)
	m.mu.Unlock()
	for t := range m.table.Load().all() {
		c.Topics++
		t.Stats.AddTo(c.Total)
		for p := range t.Partitions() {
			c.Partitions++
			if p.Failed() != nil {
				c.Offline++
			}
			r := p.Role()
			if !r.IsLeader {
				continue
			}
			c.Leaders++
			switch least := r.NeededInSync(p.Settings().MinISR); {
			case r.ISR < least:
				c.UnderMinISR++
			case r.ISR == least:
				c.AtMinISR++
			}
		}
	}
	return c
}
