package queue

// endSession ends the session of a member: what it holds of the session's partitions is given back.
func (m *Manager) endSession(key memberKey) {
	if s := m.sessions.remove(key); s != nil {
		m.ended(s)
	}
}

// ended gives back what a session held.
func (m *Manager) ended(s *session) {
	for _, tp := range s.partitions { // the session is not in the table any more, so nobody else changes them
		key := partitionKey{s.key.group, tp}
		m.mu.Lock()
		sp := m.partitions[key]
		m.mu.Unlock()
		if sp != nil {
			sp.release(s.key.member)
		}
	}
	if m.sessions.hasMembers(s.key.group) {
		return
	}
	for _, sp := range m.all() {
		if sp.key.group == s.key.group {
			sp.forgetUnused()
		}
	}
}

// ConnectionClosed says that a connection has ended: its sessions end with it, and what their members hold is given back at once, as in Kafka.
func (m *Manager) ConnectionClosed(owner Owner) {
	m.answers.written(owner)
	for _, s := range m.sessions.disconnected(owner) {
		m.stats.SessionsCut.Add(1)
		m.ended(s)
	}
}

// Release says that a member has left its group or was fenced: its session ends, and what it holds is given back.
func (m *Manager) Release(group, member string) { m.endSession(memberKey{group, member}) }
