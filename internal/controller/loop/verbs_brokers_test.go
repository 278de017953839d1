package loop

import (
	"testing"

	"github.com/rafka-io/rafka/internal/metadata"
)

// What a process asked for that has ended, and comes late, does not stop the one after it: that would lead nothing and be in sync with nothing until
// somebody restarts it (LOP-7).
func TestAStopOfTheProcessBeforeIsNotTaken(t *testing.T) {
	img, _, err := metadata.Fold(metadata.Empty(), []metadata.Record{
		&metadata.BrokerRecord{Broker: metadata.Broker{ID: 1, Epoch: 7}}, &metadata.BrokerRecord{Broker: metadata.Broker{ID: 2, Epoch: 8}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if records, answer := stopBroker.decide(&Loop{}, img, leave{ID: 1, Epoch: 6}); records != nil || !answer.Done {
		t.Errorf("a stop of epoch 6 is answered with %+v and %d records", answer, len(records))
	}
	if records, _ := stopBroker.decide(&Loop{}, img, leave{ID: 1, Epoch: 7}); len(records) != 1 {
		t.Errorf("a stop of epoch 7 makes %d records, want 1", len(records))
	}
}
