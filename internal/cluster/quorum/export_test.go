package quorum

// Waiting is the number of commits that are queued behind the one being written.
func (l *Local) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}
