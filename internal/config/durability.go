package config

import (
	"math"
	"time"
)

// Durability is what an ack means on the disk of one broker. The zero value is the default: the batch is fsynced.
type Durability struct {
	Cached        bool          // an ack means "in the page cache": it survives the process, not the machine
	FlushMessages int64         // if Cached: fsync after this many records; 0: never for their number
	FlushInterval time.Duration // if Cached: fsync at least this often; 0: never for the time
}

// Durability decides what an ack means for a topic. The default is fsync, unlike Kafka's, so Kafka's flush settings opt out of it by being
// set at all. The topic goes before the broker, and on one level:
//
//	write.caching=false               fsync
//	flush.messages=1 or flush.ms=0    fsync: that is what they ask for
//	write.caching=true, or any other
//	flush.messages or flush.ms        cached, with the flush limits that hold for the topic
//	none of them set                  the next level; after the broker: fsync
func (l *Layers) Durability() Durability {
	caching, cachingFrom, _ := l.value(Topic, mustLookup(Topic, "write.caching"))
	messages, messagesFrom, _ := l.value(Topic, mustLookup(Topic, "flush.messages"))
	interval, intervalFrom, _ := l.value(Topic, mustLookup(Topic, "flush.ms"))
	cached := Durability{Cached: true}
	if n := parseInt(messages); n < math.MaxInt64 {
		cached.FlushMessages = n
	}
	if n := parseInt(interval); n < math.MaxInt64 {
		cached.FlushInterval = duration(n, time.Millisecond)
	}
	onTopic := func(s Source) bool { return s == SourceTopic }
	onBroker := func(s Source) bool { return s == SourceBroker || s == SourceDefaultBroker || s == SourceStatic }
	for _, set := range []func(Source) bool{onTopic, onBroker} {
		switch {
		case set(cachingFrom) && !isTrue(caching),
			set(messagesFrom) && parseInt(messages) <= 1,
			set(intervalFrom) && parseInt(interval) <= 0:
			return Durability{}
		case set(cachingFrom), set(messagesFrom), set(intervalFrom):
			return cached
		}
	}
	return Durability{}
}
