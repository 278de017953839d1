package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// QUE-7, P6: what answers hold until they are written is bounded: who finds no room waits, gets something when there is room, and is answered without
// records when the time is up.
func TestUnwrittenAnswersHoldUpFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.Manager.room.limit = 100
		one, two := w.member("one", p(1, 0)), w.member("two", p(1, 0))
		w.produce("jobs", 0, values(string(make([]byte, 200)))...)
		if got := one.got(one.ShareFetch(context.Background(), one.conn, one.ask(0))); len(got) != 1 {
			t.Fatalf("got %v", got)
		}
		if !w.Crowded() {
			t.Error("not crowded")
		}
		w.produce("jobs", 0, values("b")...)
		began := time.Now()
		wantTexts(t, two.fetch(time.Second))
		if time.Since(began) != time.Second {
			t.Errorf("answered after %v", time.Since(began))
		}
		go func() {
			time.Sleep(300 * time.Millisecond)
			w.AnswerWritten(one.conn)
		}()
		began = time.Now()
		wantTexts(t, two.fetch(time.Second), "b")
		if time.Since(began) != 300*time.Millisecond {
			t.Errorf("answered after %v", time.Since(began))
		}
		two.AnswerWritten(two.conn)
		two.AnswerWritten(two.conn) // once too often
		w.ConnectionClosed(one.conn)
		if w.Manager.room.held != 0 {
			t.Errorf("%d bytes are held by nobody", w.Manager.room.held)
		}
	})
}

// A member whose session ends while its fetch waits gets nothing to hold.
func TestFetchOfAnEndedSessionHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		m := w.member("one", p(1, 0))
		done := make(chan kafka.ErrorCode)
		go func() {
			done <- kafka.ErrorCode(m.ShareFetch(context.Background(), m.conn, m.ask(time.Minute)).ErrorCode)
		}()
		synctest.Wait()
		w.Release("g", "one")
		w.produce("jobs", 0, values("a")...)
		wantCode(t, <-done, kafka.ShareSessionNotFound)
		synctest.Wait()
		if g := w.Gauges(); g.InFlight != 0 || w.Manager.room.held != 0 {
			t.Errorf("%d in flight, %d bytes held", g.InFlight, w.Manager.room.held)
		}
		wantTexts(t, w.member("two", p(1, 0)).fetch(0), "a")
	})
}
