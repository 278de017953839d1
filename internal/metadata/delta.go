package metadata

import "github.com/rafka-io/rafka/internal/kafka"

// Delta is what changed between two images. What was made and removed again in between is not in it.
type Delta struct {
	From, To Offset
	Topics   []TopicDelta     // in the order in which the records first touched them
	Configs  []Resource       // whose settings changed; those of removed topics too
	Brokers  []kafka.BrokerID // whose registration changed
	Cluster  bool             // the cluster id, the controller, a feature level or the next producer id changed
}

// TopicDelta is one topic before and after.
type TopicDelta struct {
	Before *Topic // nil: it was created
	After  *Topic // nil: it was removed
	// Partitions are the indexes that were added or changed, rising, when the topic was neither created nor removed.
	Partitions []int32
}

// IsEmpty reports whether nothing changed.
func (d *Delta) IsEmpty() bool {
	return len(d.Topics) == 0 && len(d.Configs) == 0 && len(d.Brokers) == 0 && !d.Cluster
}

// Publisher is told each new image, in order and from one goroutine. When Apply returns, what depends on the image in this subsystem
// has happened: whoever asked for the change is answered after the last publisher has returned. Apply has no error: a subsystem that
// cannot follow (a log directory is full) keeps its own state of that and answers its own requests accordingly. Apply must not ask
// for another change of metadata and wait for it, because that change would wait for Apply.
type Publisher interface {
	Apply(*Image, *Delta)
}
