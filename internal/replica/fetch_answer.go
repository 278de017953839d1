package replica

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

// answered takes in an answer.
func (f *fetcher) answered(a *kmsg.FetchResponse) {
	now := f.set.opts.Now()
	switch code := kafka.ErrorCode(a.ErrorCode); code {
	case kafka.None:
	case kafka.FetchSessionIDNotFound, kafka.InvalidFetchSessionEpoch, kafka.FetchSessionTopicIDError:
		f.session.forget()
		if f.session.lost++; f.session.lost > 1 {
			f.lost(now, code)
		}
		return
	default:
		f.lost(now, code)
		return
	}
	f.session.lost = 0
	f.redial.reset()
	f.broken.Store(0)
	if !f.session.next(a.SessionID) {
		return
	}
	for i := range a.Topics {
		t := &a.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			x := f.parts[followKey{t.TopicID, p.Partition}]
			// What was asked for something that is no more is dropped, and so is what comes twice.
			if x != nil && x.state == ready && !x.over.Load() && x.told == x.wants() {
				f.took(x, p, now)
			}
		}
	}
}

// took takes in the answer for one partition.
func (f *fetcher) took(x *followed, a *kmsg.FetchResponseTopicPartition, now time.Time) {
	switch code := kafka.ErrorCode(a.ErrorCode); {
	case code == kafka.OffsetOutOfRange:
		f.startOver(x, kafka.Offset(a.LogStartOffset), now)
		return
	case code != kafka.None:
		f.refused(x, code, now)
		return
	case a.DivergingEpoch.Epoch >= 0:
		f.truncate(x, partition.EpochEnd{Epoch: kafka.LeaderEpoch(a.DivergingEpoch.Epoch), End: kafka.Offset(a.DivergingEpoch.EndOffset)}, now)
		return
	}
	if len(a.RecordBatches) > 0 {
		if _, err := x.p.AppendAsFollower(x.epoch, record.Batches(a.RecordBatches)); err != nil {
			f.failed(x, err, now)
			return
		}
		f.set.counts.bytes.Add(int64(len(a.RecordBatches)))
		if !f.moved(x, now) {
			return
		}
	}
	x.pause.reset()
	x.sick.Store(false)
	hw, logStart := kafka.Offset(a.HighWatermark), kafka.Offset(a.LogStartOffset)
	if err := x.p.LeaderSaid(x.epoch, hw, logStart); err != nil {
		f.failed(x, err, now)
		return
	}
	if start := x.p.LogStart(); start != x.point.LogStart {
		x.point.LogStart = start
		f.mark(x)
	}
	x.committed(hw, now)
	f.hold(x, len(a.RecordBatches), now)
}

// moved looks where the log ends after it was changed. It is to be made durable up to there before the leader is told.
func (f *fetcher) moved(x *followed, now time.Time) bool {
	point, err := x.p.FollowPoint()
	if err != nil {
		f.failed(x, err, now)
		return false
	}
	x.point = point
	f.enter(x, unsynced)
	f.syncing = append(f.syncing, x)
	return true
}

// truncate cuts off what the leader does not have (PAR-2). The high watermark in the same answer must not be taken before the logs agree, which one cut
// may not achieve, and in this session the leader would not repeat it: so another is opened.
func (f *fetcher) truncate(x *followed, d partition.EpochEnd, now time.Time) {
	f.session.begin()
	was := x.point
	if _, err := x.p.TruncateTo(x.epoch, d); err != nil {
		f.failed(x, err, now)
		return
	}
	if f.moved(x, now) && x.point.Offset >= was.Offset {
		f.refused(x, kafka.FencedLeaderEpoch, now) // it takes more than this to agree; not as fast as can be
	}
}

// startOver goes on where the leader's log begins, if that is behind all that is here, or if nothing is here.
func (f *fetcher) startOver(x *followed, logStart kafka.Offset, now time.Time) {
	if logStart < 0 || logStart <= x.point.Offset && x.point.LastEpoch != kafka.NoEpoch {
		f.refused(x, kafka.OffsetOutOfRange, now)
		return
	}
	f.set.opts.Logger.Info("what is here of a followed partition is before all that its leader has, starting over", "log", x.p.ID().String(), "end", x.point.Offset, "leader's start", logStart)
	if err := x.p.StartAt(x.epoch, logStart); err != nil {
		f.failed(x, err, now)
		return
	}
	f.moved(x, now)
}

// mark has the leader told of a change.
func (f *fetcher) mark(x *followed) {
	if !x.dirty && x.state == ready {
		x.dirty = true
		f.dirty = append(f.dirty, x)
	}
}
