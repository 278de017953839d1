package httpsrv

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// Note is a decision that a part of the broker made, in plain words.
type Note struct {
	At    time.Time `json:"at"`
	About string    `json:"about"` // a group or a transactional id
	Text  string    `json:"text"`
}

// Kinds of things that notes are about.
const (
	NotesOfGroups       = "group" // of any type
	NotesOfTransactions = "transaction"
	NotesOfCluster      = "cluster" // what the controller does by itself: about is UpkeepDone or UpkeepNext
)

// What notes of the cluster are about.
const (
	UpkeepDone = "done"
	UpkeepNext = "next"
)

// maxAbout is the longest name that is looked up, in bytes. Names of groups and transactional ids are strings of the protocol, which are shorter.
const maxAbout = 1 << 15

// explain serves GET /v1/explain?about=NAME[&kind=group|transaction]: the last decisions about a group or transactional id, the oldest first, as
// a JSON list; and ?kind=cluster&about=done|next: what the controller did by itself, or would do. They are in memory and end with the broker.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	about, kind := r.URL.Query().Get("about"), r.URL.Query().Get("kind")
	switch {
	case about == "" || len(about) > maxAbout:
		http.Error(w, "say what to explain: /v1/explain?about=NAME, the name of a group or a transactional id", http.StatusBadRequest)
		return
	case kind != "" && kind != NotesOfGroups && kind != NotesOfTransactions && kind != NotesOfCluster:
		http.Error(w, "kind is one of "+NotesOfGroups+", "+NotesOfTransactions+", "+NotesOfCluster, http.StatusBadRequest)
		return
	}
	notes := []Note{}
	for _, k := range []string{NotesOfGroups, NotesOfTransactions, NotesOfCluster} {
		if s.sources.Notes != nil && (kind == "" && k != NotesOfCluster || kind == k) {
			notes = append(notes, s.sources.Notes(k, about)...)
		}
	}
	slices.SortStableFunc(notes, func(a, b Note) int { return a.At.Compare(b.At) })
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(notes) // an error is the client's connection, which it knows
}
