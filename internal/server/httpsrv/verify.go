package httpsrv

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/rafka-io/rafka/internal/kafka"
)

// comparison is the answer of GET /v1/verify.
type comparison struct {
	From         int64             `json:"from"`
	Next         int64             `json:"next"` // ask again from here; nothing is left when it is end
	End          int64             `json:"end"`
	OnlyVerified int64             `json:"only_verified_below"` // compacted: each batch's own checksum was verified, nothing compared
	Replicas     []comparedReplica `json:"replicas"`
	Differences  []difference      `json:"differences"`
}

type comparedReplica struct {
	Broker        int32  `json:"broker_id"`
	Leads         bool   `json:"leader"`
	InSync        bool   `json:"in_sync"`
	Missing       string `json:"missing,omitempty"` // why it was not compared
	Start         int64  `json:"log_start"`
	End           int64  `json:"log_end"`
	HighWatermark int64  `json:"high_watermark"`
	Bytes         int64  `json:"bytes"`
	Batches       int    `json:"batches"`
}

type difference struct {
	From  int64   `json:"from"`
	To    int64   `json:"to"` // the last offset
	Bad   []int32 `json:"bad_broker_ids"`
	Rule  string  `json:"rule"` // checksum, majority or leader
	Where string  `json:"where,omitempty"`
}

// verify serves GET /v1/verify?topic=T&partition=P[&from=N][&deep=true]: one step of a comparison of what the replicas of a partition hold on their disks. A step
// reads some 16 MiB of each; only one is under way at a time, others are told to come back.
func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	topic := q.Get("topic")
	partition, err := strconv.ParseInt(q.Get("partition"), 10, 32)
	from := int64(0)
	if v := q.Get("from"); v != "" && err == nil {
		from, err = strconv.ParseInt(v, 10, 64)
	}
	if topic == "" || err != nil || partition < 0 || from < 0 {
		http.Error(w, "say what to compare: /v1/verify?topic=NAME&partition=N, with &from=OFFSET to go on", http.StatusBadRequest)
		return
	}
	if s.sources.Compare == nil {
		http.NotFound(w, r)
		return
	}
	if !s.comparing.TryLock() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "another comparison is under way: try again", http.StatusServiceUnavailable)
		return
	}
	defer s.comparing.Unlock()
	found, err := s.sources.Compare(r.Context(), topic, int32(partition), from, q.Get("deep") == "true")
	if err != nil {
		status := http.StatusInternalServerError
		if kafka.CodeOf(err) == kafka.UnknownTopicOrPartition {
			status = http.StatusNotFound
		}
		http.Error(w, err.Error(), status)
		return
	}
	c := comparison{
		From: int64(found.From), Next: int64(found.Next), End: int64(found.End), OnlyVerified: int64(found.OnlyVerified),
		Replicas: []comparedReplica{}, Differences: []difference{},
	}
	for _, x := range found.Replicas {
		one := comparedReplica{
			Broker: int32(x.Node), Leads: x.Leads, InSync: x.InSync, Start: int64(x.Start), End: int64(x.End), HighWatermark: int64(x.HighWatermark),
			Bytes: x.Bytes, Batches: x.Batches,
		}
		if x.Missing != nil {
			one.Missing = x.Missing.Error()
		}
		c.Replicas = append(c.Replicas, one)
	}
	for _, d := range found.Differences {
		one := difference{From: int64(d.From), To: int64(d.To) - 1, Rule: string(d.Rule), Where: d.Where}
		for _, id := range d.Bad {
			one.Bad = append(one.Bad, int32(id))
		}
		c.Differences = append(c.Differences, one)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(c) // an error is the client's connection, which it knows
}
