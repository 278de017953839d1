package httpsrv

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/metadata"
)

// toldGroups is a Groups that says what it is given.
type toldGroups struct{ now GroupsNow }

func (g toldGroups) Groups() GroupsNow { return g.now }

// Lags stand under kafka_exporter's names; a lag that is not known is left out, and so is the sum it would be part of (HTP-2).
func TestGroupsStandUnderTheNamesOfKafkaExporter(t *testing.T) {
	img, _ := image(t, 1)
	now := GroupsNow{
		Counts: map[GroupKind]int{{"classic", "Empty"}: 2, {"share", "Stable"}: 1}, Omitted: 1,
		Groups: []Group{
			{Name: "a", Members: 3, Offsets: []GroupOffset{
				{Topic: "t", Partition: 0, Offset: 5, Lag: 10, Waiting: 1500 * time.Millisecond}, {Topic: "t", Partition: 1, Offset: 6, Lag: 2, Waiting: -1},
				{Topic: "u", Partition: 0, Offset: 7, Lag: -1, Waiting: -1}, {Topic: "u", Partition: 1, Offset: 1, Lag: 0},
			}},
			{Name: "b"},
		},
	}
	page := scrape(t, serve(t, New(Sources{NodeID: 1, Image: func() *metadata.Image { return img }, Groups: toldGroups{now}}, Options{})))
	for series, want := range map[string]float64{
		`rafka_groups{state="Empty",type="classic"}`:                                       2,
		`rafka_groups{state="Stable",type="share"}`:                                        1,
		`rafka_metrics_omitted_groups`:                                                     1,
		`kafka_consumergroup_members{consumergroup="a"}`:                                   3,
		`kafka_consumergroup_members{consumergroup="b"}`:                                   0,
		`kafka_consumergroup_current_offset{consumergroup="a",partition="1",topic="t"}`:    6,
		`kafka_consumergroup_current_offset_sum{consumergroup="a",topic="t"}`:              11,
		`kafka_consumergroup_current_offset_sum{consumergroup="a",topic="u"}`:              8,
		`kafka_consumergroup_lag{consumergroup="a",partition="0",topic="t"}`:               10,
		`kafka_consumergroup_lag{consumergroup="a",partition="1",topic="u"}`:               0,
		`kafka_consumergroup_lag_sum{consumergroup="a",topic="t"}`:                         12,
		`kafka_consumergroup_group_lag_seconds{consumergroup="a",partition="0",topic="t"}`: 1.5,
		`kafka_consumergroup_group_lag_seconds{consumergroup="a",partition="1",topic="u"}`: 0,
	} {
		if got, there := page[series]; !there || got != want {
			t.Errorf("%s is %v (there: %t), want %v", series, got, there, want)
		}
	}
	for _, series := range []string{
		`kafka_consumergroup_lag{consumergroup="a",partition="0",topic="u"}`, `kafka_consumergroup_lag_sum{consumergroup="a",topic="u"}`,
		`kafka_consumergroup_group_lag_seconds{consumergroup="a",partition="1",topic="t"}`,
	} {
		if v, there := page[series]; there {
			t.Errorf("%s is not known and shown as %v", series, v)
		}
	}
}

// The decisions of all parts stand in one list by time; a question without a name is refused.
func TestDecisionsAreListedByTime(t *testing.T) {
	img, _ := image(t, 1)
	at := func(s int64) time.Time { return time.Unix(s, 0).UTC() }
	sources := Sources{NodeID: 1, Image: func() *metadata.Image { return img }, Notes: func(kind, about string) []Note {
		if about != "orders & co" {
			return nil
		}
		if kind == NotesOfTransactions {
			return []Note{{at(2), about, "aborted"}}
		}
		return []Note{{at(1), about, "member a joined"}, {at(3), about, "member a left"}}
	}}
	base := serve(t, New(sources, Options{}))
	for query, want := range map[string]string{
		"about=orders+%26+co":                  "member a joined; aborted; member a left",
		"about=orders+%26+co&kind=group":       "member a joined; member a left",
		"about=orders+%26+co&kind=transaction": "aborted",
		"about=other":                          "",
	} {
		code, body, h := get(t, base+"/v1/explain?"+query)
		var notes []Note
		if err := json.Unmarshal([]byte(body), &notes); err != nil || code != http.StatusOK || notes == nil || h.Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %d %s %v", query, code, body, err)
		}
		var texts []string
		for _, n := range notes {
			texts = append(texts, n.Text)
		}
		if got := strings.Join(texts, "; "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{"", "about=", "about=x&kind=weather", "about=" + strings.Repeat("x", maxAbout+1)} {
		if code, body, _ := get(t, base+"/v1/explain?"+query); code != http.StatusBadRequest && code != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%.40s: %d %s", query, code, body)
		}
	}
	if code, body, _ := get(t, serve(t, New(Sources{NodeID: 1, Image: sources.Image}, Options{}))+"/v1/explain?about=x"); code != http.StatusOK || body != "[]\n" {
		t.Errorf("without a source: %d %q", code, body)
	}
}
