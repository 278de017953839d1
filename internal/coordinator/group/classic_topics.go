package group

import "github.com/rafka-io/rafka/internal/wire"

// readTopics remembers what the members subscribe to, if they are consumers and their metadata can be read.
func (g *classicGroup) readTopics() {
	h := g.head.Get()
	var topics map[string]struct{}
	switch {
	case h.protocolType != consumerProtocolType:
	case g.members.Len() == 0:
		topics = map[string]struct{}{}
	case h.protocol != nil:
		topics = map[string]struct{}{}
		for _, m := range g.members.All() {
			if !addTopics(topics, m.metadata(h.protocol)) {
				topics = nil
				break
			}
		}
	}
	g.change(func(h *classicHead) { h.topics = topics })
}

// addTopics reads the topics of a consumer's metadata, of which each version begins as the first does: a version, then topic names.
func addTopics(topics map[string]struct{}, subscription []byte) (ok bool) {
	r := wire.NewReader(subscription)
	if r.Int16() < 0 {
		return false
	}
	for range r.Count(false, 2) {
		name := r.String(false)
		if r.Err() != nil {
			return false
		}
		if _, known := topics[string(name)]; !known {
			topics[string(name)] = struct{}{}
		}
	}
	return r.Err() == nil
}
