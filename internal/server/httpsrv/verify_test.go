package httpsrv

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/digest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/replica"
)

// A step of a comparison is told as it was found; bad questions are refused in words; a second one at the same time is told to come back.
func TestVerify(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	var asked struct {
		from     int64
		thorough bool
	}
	s := New(Sources{
		Image: metadata.Empty,
		Compare: func(_ context.Context, topic string, partition int32, from int64, thorough bool) (replica.Compared, error) {
			switch topic {
			case "slow":
				close(begun)
				<-goOn
			case "none":
				return replica.Compared{}, kafka.Errorf(kafka.UnknownTopicOrPartition, "there is no partition %d of it", partition)
			}
			asked.from, asked.thorough = from, thorough
			return replica.Compared{
				From: 5, Next: 9, End: 20, OnlyVerified: 3,
				Replicas: []replica.ComparedReplica{
					{Node: 1, Leads: true, InSync: true, End: 21, HighWatermark: 20, Bytes: 1000, Batches: 2},
					{Node: 2, Missing: errors.New("it is away")},
				},
				Differences: []digest.Difference{{From: 6, To: 8, Bad: []kafka.BrokerID{1}, Rule: digest.ByChecksum, Where: "in a file"}},
			}, nil
		},
	}, Options{})
	at := serve(t, s)
	if !strings.HasPrefix(at, "http") {
		at = "http://" + at
	}
	code, body, _ := get(t, at+"/v1/verify?topic=orders&partition=3&from=5&deep=true")
	const want = `{"from":5,"next":9,"end":20,"only_verified_below":3,"replicas":[` +
		`{"broker_id":1,"leader":true,"in_sync":true,"log_start":0,"log_end":21,"high_watermark":20,"bytes":1000,"batches":2},` +
		`{"broker_id":2,"leader":false,"in_sync":false,"missing":"it is away","log_start":0,"log_end":0,"high_watermark":0,"bytes":0,"batches":0}],` +
		`"differences":[{"from":6,"to":7,"bad_broker_ids":[1],"rule":"checksum","where":"in a file"}]}`
	if strings.TrimSpace(body) != want || code != http.StatusOK || asked.from != 5 || !asked.thorough {
		t.Errorf("%d %+v\n got %s\nwant %s", code, asked, body, want)
	}
	for _, bad := range []string{"", "?topic=t", "?topic=t&partition=x", "?topic=t&partition=-1", "?topic=t&partition=0&from=-1", "?topic=t&partition=0&from=x", "?partition=0"} {
		if code, body, _ := get(t, at+"/v1/verify"+bad); code != http.StatusBadRequest || !strings.Contains(body, "say what to compare") {
			t.Errorf("%s: %d %s", bad, code, body)
		}
	}
	if code, body, _ := get(t, at+"/v1/verify?topic=none&partition=7"); code != http.StatusNotFound || !strings.Contains(body, "there is no partition 7") {
		t.Errorf("%d %s", code, body)
	}
	first := make(chan int)
	go func() {
		r, err := http.Get(at + "/v1/verify?topic=slow&partition=0")
		if err != nil {
			first <- 0
			return
		}
		r.Body.Close()
		first <- r.StatusCode
	}()
	<-begun
	if code, _, h := get(t, at+"/v1/verify?topic=orders&partition=0"); code != http.StatusServiceUnavailable || h.Get("Retry-After") == "" {
		t.Errorf("a second one: %d %v", code, h)
	}
	close(goOn)
	if code := <-first; code != http.StatusOK {
		t.Errorf("the first one: %d", code)
	}
}
