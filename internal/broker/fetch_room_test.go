package broker

import (
	"testing"
	"testing/synctest"
	"time"
)

// BRK-4: answers that nobody reads hold no more than FetchBytes and the batch by which it was passed; who comes then waits as long as he was
// willing to, and gets records as soon as an answer was written.
func TestAnswersThatAreNotReadHoldNoMoreThanTheirRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("a", 1, 1)
		w.fill("a", 0, 8, 1000)
		one := len(plainBatch(1, 1000))
		w.room.limit = int64(4 * one)
		ask := func() []FetchResult { return w.fetch(fetchRequest(time.Minute, 1, from("a", 0, 0))) }
		var unread [][]FetchResult
		held := 0
		for !w.FetchCrowded() {
			r := ask()
			unread, held = append(unread, r), held+got(r[0])
			if len(unread) > 8 {
				t.Fatal("there is always room")
			}
		}
		if len(unread) < 3 || held > 5*one {
			t.Errorf("%d answers hold %d bytes, the limit is %d", len(unread), held, 4*one)
		}
		begin := time.Now()
		if r := ask(); got(r[0]) != 0 || r[0].Err != nil || r[0].HighWatermark != 8 || time.Since(begin) != time.Minute {
			t.Errorf("without room: %d bytes, %+v after %v", got(r[0]), r[0], time.Since(begin))
		}
		answered := make(chan []FetchResult)
		go func() { answered <- ask() }()
		synctest.Wait()
		unread[0][0].Records.Release()
		begin = time.Now()
		if r := <-answered; got(r[0]) == 0 || time.Since(begin) != 0 {
			t.Errorf("with room again: %d bytes after %v", got(r[0]), time.Since(begin))
		} else {
			unread[0] = r
		}
		for _, r := range unread {
			r[0].Records.Release()
			r[0].Records.Release() // no harm
		}
		if w.room.held != 0 {
			t.Errorf("%d bytes are still counted", w.room.held)
		}
	})
}
