package coordinator

import "time"

// Note is a decision of a shard in plain words.
type Note struct {
	At    time.Time
	About string // the group or the transactional id
	Text  string
}

// maxNotes bounds the decisions that a shard remembers: the last ones, of all its groups together.
const maxNotes = 512

// maxNote is the most bytes of one.
const maxNote = 1000

// ring is the last notes of a shard, guarded by its lock.
type ring struct {
	notes []Note
	next  int // where the next one goes once the ring is full
}

func (r *ring) add(n Note) {
	if len(r.notes) < maxNotes {
		r.notes = append(r.notes, n)
		return
	}
	r.notes[r.next] = n
	r.next = (r.next + 1) % maxNotes
}

// about lists the notes about one thing, oldest first; "" lists all.
func (r *ring) about(what string) (list []Note) {
	for i := range r.notes {
		if n := r.notes[(r.next+i)%len(r.notes)]; what == "" || n.About == what {
			list = append(list, n)
		}
	}
	return list
}
