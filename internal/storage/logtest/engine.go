package logtest

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// A removed log is gone; the same topic name with another id begins at 0, also while the old one is still held by somebody.
func engineRemove(s *suite) {
	u := s.open("t", small)
	u.append(30)
	u.must(u.log.Sidecar().Put("epochs", []byte("old")))
	u.sync()
	old := u.log
	u.must(u.Engine.Remove(u.id))
	if _, err := old.Append(u.batch(u.model.end)); err == nil {
		u.Error("a removed log takes batches")
	}
	u.id.TopicID = topicID("t", 1)
	u.model = model{}
	u.openLog(u.Engine, small)
	u.check()
	if _, err := u.log.Sidecar().Get("epochs"); !errors.Is(err, fs.ErrNotExist) {
		u.Errorf("the new log has the old one's blob: %v", err)
	}
	u.append(10)
	u.sync()
	u.check()
	u.must(u.Engine.Remove(storage.ID{TopicPartition: kafka.TopicPartition{Topic: "never"}, TopicID: topicID("never", 0)}))
	ids, err := u.Engine.List()
	u.must(err)
	if !slices.Contains(ids, u.id) || slices.Contains(ids, storage.ID{TopicPartition: u.id.TopicPartition, TopicID: topicID("t", 0)}) {
		u.Errorf("logs %v", ids)
	}
}

func engineLists(s *suite) {
	var want []storage.ID
	for _, topic := range []string{"a", "b", "with.dots-and_1"} {
		u := s.open(topic, small)
		u.id.Partition = 3
		u.openLog(s.Engine, small)
		u.append(1)
		u.sync()
		want = append(want, u.id)
	}
	ids, err := s.Engine.List()
	s.must(err)
	for _, id := range want {
		if !slices.Contains(ids, id) {
			s.Errorf("logs %v, without %v", ids, id)
		}
	}
	for _, d := range s.Engine.Dirs() {
		if d.Failed != nil || d.Full {
			s.Errorf("directory %+v", d)
		}
	}
}

func engineCloseLog(s *suite) {
	u := s.open("t", small)
	u.append(30)
	u.trim(u.model.end / 3)
	u.must(u.log.Close())
	if _, err := u.log.Append(u.batch(u.model.end)); !errors.Is(err, storage.ErrClosed) {
		u.Errorf("append to a closed log: %v", err)
	}
	u.openLog(u.Engine, small)
	u.check()
	u.append(5)
	u.check()
}

// STO-3: what a clean stop leaves is what there was.
func engineReopen(s *suite) {
	if s.Reopen == nil {
		s.Skip("the engine forgets")
	}
	logs := []*subject{s.open("a", small), s.open("b", small), s.open("untouched", small)}
	for range 4 {
		for i, u := range logs[:2] {
			u.append(20)
			u.truncate(u.model.cutOffset(u.rng))
			u.epoch++
			u.append(10)
			u.trim(min(u.model.start+kafka.Offset(u.rng.IntN(40)), u.model.end))
			u.must(u.log.Sidecar().Put("epochs", []byte{byte(u.epoch), byte(i)}))
		}
		s.Engine = s.Reopen(s)
		for i, u := range logs {
			u.openLog(s.Engine, small)
			if b := u.log.Bounds(); b.Durable != b.End {
				u.Errorf("bounds %+v after a clean stop", b)
			}
			u.check()
			u.compareTimes(50)
			u.compareMax()
			if i == 2 {
				continue
			}
			if blob, err := u.log.Sidecar().Get("epochs"); err != nil || string(blob) != string([]byte{byte(u.epoch), byte(i)}) {
				u.Errorf("blob %q, %v", blob, err)
			}
		}
	}
}
