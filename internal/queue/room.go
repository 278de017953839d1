package queue

import "sync"

// room bounds the bytes of records that answers hold until they are written, as broker's does for Fetch (QUE-7): consumers that ask for much
// and read nothing would otherwise hold as much memory as they like. A fetch gets half of what is free at most; while nothing is free fetches
// wait, and answer without records when they have waited as long as they were asked to.
type room struct {
	limit int64 // bytes

	mu    sync.Mutex    // guards what is below, for memory work only; a leaf
	held  int64         // reserved or in answers; may pass limit, since a fetch gets at least one batch, however large
	freed chan struct{} // not nil while someone waits; closed when held falls
}

// take reserves up to most bytes and returns how many. If there are none, freed is closed when that may have changed.
func (r *room) take(most int) (n int, freed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held >= r.limit && most > 0 {
		if r.freed == nil {
			r.freed = make(chan struct{})
		}
		return 0, r.freed
	}
	n = int(min(int64(max(most, 0)), (r.limit-r.held+1)/2))
	r.held += int64(n)
	return n, nil
}

// settle turns a reservation into what is really held.
func (r *room) settle(reserved int, held int64) { r.add(held - int64(reserved)) }

func (r *room) add(n int64) {
	if n == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held += n
	if n < 0 && r.freed != nil && r.held < r.limit {
		close(r.freed)
		r.freed = nil
	}
}

// full reports whether fetches have to wait for what others hold.
func (r *room) full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held >= r.limit
}
