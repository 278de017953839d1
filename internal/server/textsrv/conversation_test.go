package textsrv

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/broker/brokertest"
	"github.com/rafka-io/rafka/internal/kafka"
)

// Every command's answer, also where it is an error: a person must always learn how it ended (TXT-4).
func TestEachCommandIsAnswered(t *testing.T) {
	b, _, c := start(t, Options{})
	b.FailWith(func(verb string, tp kafka.TopicPartition) error {
		if tp.Topic == "broken" && verb != "create" {
			return kafka.KafkaStorageError
		}
		return nil
	})
	for _, talk := range []struct{ say, answer string }{
		{"PING", "PONG"},
		{"ping\r", "PONG"},
		{"CREATE t 3", "OK t 3"},
		{"CREATE t 3", "ERROR: topic t exists already"},
		{"CREATE ../etc", `ERROR: "../etc" is no topic name: use 1 to 249 of a-z A-Z 0-9 . _ -`},
		{"CREATE u 0", `ERROR: "0" is no number of partitions: use a number from 1`},
		{"CREATE", "ERROR: write it as: CREATE <topic> [partitions]"},
		{"CREATE u", "OK u 1"},
		{"TOPICS", "t 3\nu 1\nEND 2"},
		{"PRODUCE u - one two  three ", "OK 0 0"},
		{"PRODUCE u k\tv", "OK 0 1"},
		{"PRODUCE u k ", "OK 0 2"},
		{`PRODUCE u k \N`, "OK 0 3"},
		{`PRODUCE u \e {"a":"x\ny"}`, "OK 0 4"},
		{"PRODUCE u k", "ERROR: write it as: PRODUCE <topic> <key or -> <value>"},
		{`PRODUCE u k \q`, `ERROR: the value: \q is no escape: there are \n \r \t \\ \xNN \e, and \N alone for null; write \\ for a backslash`},
		{`PRODUCE u \x1 v`, `ERROR: the key: \x needs two hex digits, as in \x1f; write \\x for a backslash and an x`},
		{`PRODUCE u k \`, `ERROR: the value: a backslash at the end escapes nothing; write \\ for a backslash`},
		{"OFFSETS u", "0 0 5\nEND 1"},
		{"OFFSETS nothing", `ERROR: there is no topic "nothing"; TOPICS lists those there are`},
		{"CONSUME u 0 0", `0:{"offset":0,"key":null,"value":"one two  three "}
1:{"offset":1,"key":"k","value":"v"}
2:{"offset":2,"key":"k","value":""}
3:{"offset":3,"key":"k","value":null}
4:{"offset":4,"key":"","value":"{\"a\":\"x\\ny\"}"}
END 5`},
		{"CONSUME u 0 1 LIMIT 1", "1:{\"offset\":1,\"key\":\"k\",\"value\":\"v\"}\nEND 2"},
		{"CONSUME u * latest", "END 0:5"},
		{"CONSUME u * 3 limit 1", "3:{\"partition\":0,\"offset\":3,\"key\":\"k\",\"value\":null}\nEND 0:4"},
		{"CONSUME u 1 0", "ERROR: topic u has no partition 1; it has 0 to 0"},
		{"CONSUME u 0 6", "ERROR: u-0 has no offset 6; it ends at 5"},
		{"CONSUME u 0 5", "END 5"},
		{"CONSUME u 0 -3", `ERROR: "-3" is no offset: use a number from 0, earliest or latest`},
		{"CONSUME u x 0", `ERROR: "x" is no partition: use a number from 0, or * for all of them`},
		{"CONSUME u 0", "ERROR: write it as: CONSUME <topic> <partition or *> <offset, earliest or latest> [FOLLOW] [LIMIT <n>]"},
		{"CONSUME u 0 0 LIMIT -1", `ERROR: LIMIT "-1": use a number from 1 to 9223372036854775807`},
		{"CONSUME nothing 0 0", `ERROR: there is no topic "nothing"; create it first, or publish to it`},
		{"PRODUCE broken k v", "ERROR: append to broken-0: KAFKA_STORAGE_ERROR"},
		{"CONSUME broken 0 0", "ERROR: read broken-0: KAFKA_STORAGE_ERROR"},
		{"DELETE u", "OK u"},
		{"DELETE u", `ERROR: there is no topic "u"; TOPICS lists those there are`},
		{"DELETE", "ERROR: write it as: DELETE <topic>"},
		{"STOP", "OK"},
		{"SELECT * FROM t", `ERROR: there is no command "SELECT"; send HELP for the list`},
		{"\x00\x01\x02", `ERROR: there is no command "\x00\x01\x02"; send HELP for the list`},
		{"PING x", "ERROR: PING takes nothing"},
		{"quit", "OK"},
	} {
		c.send(talk.say)
		for want := range strings.Lines(talk.answer) {
			if got := c.line(); got != strings.TrimSuffix(want, "\n") {
				t.Fatalf("%q: answer %q, want %q", talk.say, got, want)
			}
		}
	}
	c.wantEnd()
}

// HELP names every command there is, so that nobody has to guess.
func TestHelpNamesEveryCommand(t *testing.T) {
	for name, v := range verbNames {
		if usage := usages[v]; !strings.Contains(help, usage) {
			t.Errorf("HELP does not show %s: %s", name, usage)
		}
	}
	_, _, c := start(t, Options{})
	c.send("HELP")
	c.want(strings.Split(strings.TrimSuffix(help, "\n"), "\n")...)
}

// Messages sent one after another wait together for the disk, not one after the other; answers keep the order all the same, also
// behind commands that wait for their turn (TXT-1).
func TestPipelinedCommandsAreAnsweredInOrder(t *testing.T) {
	b, _, c := start(t, Options{})
	b.HoldAcks()
	c.send("PRODUCE t - a", "PRODUCE t - b", "PRODUCE t - c", "CREATE u 2", "PRODUCE u k d", "PING", "PRODUCE t - e")
	reader := dial(t.Context(), t, New(b, Options{}))
	reader.send("CONSUME t 0 0 FOLLOW LIMIT 3")
	reader.want(`0:{"offset":0,"key":null,"value":"a"}`, `1:{"offset":1,"key":null,"value":"b"}`, `2:{"offset":2,"key":null,"value":"c"}`, "END 3")
	b.LetGo()
	c.want("OK 0 0", "OK 0 1", "OK 0 2", "OK u 2")
	c.wantPrefix("OK ")
	c.want("PONG", "OK 0 3")
}

// FOLLOW delivers what comes, until STOP; a later CONSUME can go on where END says.
func TestFollowGoesOnUntilStop(t *testing.T) {
	b, _, c := start(t, Options{})
	c.send("CONSUME t 0 earliest FOLLOW") // creates the topic, as first use does
	for b.Image().Topics.ByName("t") == nil || b.Fetches() == 0 {
		runtime.Gosched()
	}
	publish(t, b, "t", "one")
	c.want(`0:{"offset":0,"key":null,"value":"one"}`)
	publish(t, b, "t", "two")
	c.want(`1:{"offset":1,"key":null,"value":"two"}`)
	c.send("STOP", "PING")
	c.want("END 2", "OK", "PONG")
}

// A topic made anew under its old name is another topic: a FOLLOW must not mix them.
func TestFollowEndsWhenItsTopicIsDeleted(t *testing.T) {
	b, _, c := start(t, Options{})
	publish(t, b, "t", "one")
	c.send("CONSUME t 0 0 FOLLOW")
	c.want(`0:{"offset":0,"key":null,"value":"one"}`)
	b.DeleteTopics(t.Context(), nil, []broker.TopicRef{{Name: "t"}})
	publish(t, b, "t", "other")
	c.want("ERROR: topic t was deleted")
}

// Commands behind a FOLLOW would wait for ever; when they are too much to keep, the FOLLOW ends and says why (TXT-3).
func TestFollowEndsWhenTooMuchWaitsBehindIt(t *testing.T) {
	b, _, c := start(t, Options{})
	publish(t, b, "t", "one")
	c.send("CONSUME t 0 1 FOLLOW")
	for range maxTasks {
		c.send("PING")
	}
	c.want("ERROR: " + errBehindFollow.Error())
	c.want("PONG")
}

// nc closes its sending side when its input ends; what it asked for must still come.
func TestFollowOutlivesTheClientsLastLine(t *testing.T) {
	b, _, c := start(t, Options{})
	publish(t, b, "t", "one")
	c.send("CONSUME t 0 0 FOLLOW LIMIT 2")
	if err := c.conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.want(`0:{"offset":0,"key":null,"value":"one"}`)
	publish(t, b, "t", "two")
	c.want(`1:{"offset":1,"key":null,"value":"two"}`, "END 2")
	c.wantEnd()
}

// A last line without its end is a line: printf 'PING' | nc.
func TestLastLineNeedsNoEnd(t *testing.T) {
	_, _, c := start(t, Options{})
	if _, err := c.conn.Write([]byte("PING")); err != nil {
		t.Fatal(err)
	}
	_ = c.conn.CloseWrite()
	c.want("PONG")
	c.wantEnd()
}

// A line beyond the limit is skipped whole, and the next one is a command again.
func TestTooLongLineIsSkipped(t *testing.T) {
	b, _, c := start(t, Options{MaxLine: 100 << 10})
	c.send("PRODUCE t - "+strings.Repeat("x", 100<<10), "PING", "PRODUCE t - "+strings.Repeat("y", 90<<10))
	c.want("ERROR: the line is longer than 102400 bytes and was skipped", "PONG", "OK 0 0")
	if n := b.DescribeLogDirs(nil, nil)[0].Logs[0].Size; n < 90<<10 || n > 91<<10 {
		t.Errorf("stored %d bytes", n)
	}
}

// What speaks another protocol is told so and sent away, instead of being answered line by line.
func TestStrangersAreSentAway(t *testing.T) {
	_, s, c := start(t, Options{})
	c.send("GET /metrics HTTP/1.1\r", "Host: localhost\r", "\r")
	c.wantPrefix("ERROR: this is no HTTP port")
	c.wantEnd()

	c = dial(t.Context(), t, s)
	for range maxMisses + 5 {
		c.send("\xff\xfe garbage")
	}
	for range maxMisses - 1 {
		c.wantPrefix(`ERROR: there is no command "\xff\xfe"`)
	}
	c.wantPrefix(`ERROR: there is no command "\xff\xfe"; send HELP for the list; closed after`)
	c.wantEnd()
}

// Who takes nothing is closed after the write timeout; meanwhile everyone else is served (TXT-3).
func TestSlowReaderHurtsOnlyItself(t *testing.T) {
	b, s, slow := start(t, Options{WriteTimeout: 50 * time.Millisecond})
	_ = slow.conn.SetReadBuffer(4 << 10)
	big := strings.Repeat("x", 500<<10)
	publish(t, b, "t", big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big)
	for range 20 {
		slow.send("CONSUME t 0 0")
	}
	quick := dial(t.Context(), t, s)
	quick.send("PING", "PRODUCE t - v")
	quick.want("PONG", "OK 0 20")
	<-slow.served
}

// A stop answers what was published and tells followers to come back.
func TestShutdownAnswersWhatWasPublished(t *testing.T) {
	b := brokertest.New()
	s := New(b, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	publisher, follower := dial(ctx, t, s), dial(ctx, t, s)
	publish(t, b, "t", "one")
	follower.send("CONSUME t 0 0 FOLLOW")
	follower.wantPrefix("0:")
	b.HoldAcks()
	publisher.send("PRODUCE t - two")
	follower.wantPrefix("1:")
	cancel()
	follower.want("ERROR: " + errShutdown.Error())
	follower.wantEnd()
	b.LetGo()
	publisher.want("OK 0 1")
	publisher.wantEnd()
}

// A connection that neither asks nor gets anything is closed, one that follows is not.
func TestIdleConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New()
		publish(t, b, "t", "one")
		s := New(b, Options{})
		talk := func(say string) (net.Conn, chan string) {
			ours, theirs := net.Pipe()
			go s.Serve(t.Context(), theirs, &broker.Session{})
			said := make(chan string, 100)
			go func() {
				defer close(said)
				buf := make([]byte, 1000)
				for {
					n, err := ours.Read(buf)
					if n > 0 {
						said <- string(buf[:n])
					}
					if err != nil {
						return
					}
				}
			}()
			if _, err := fmt.Fprintln(ours, say); err != nil {
				t.Fatal(err)
			}
			return ours, said
		}
		_, idle := talk("PING")
		following, follows := talk("CONSUME t 0 1 FOLLOW")
		if got := <-idle; got != "PONG\n" {
			t.Fatalf("answer %q", got)
		}
		if got := <-idle; got != "ERROR: closed: there was no command for 10m0s\n" {
			t.Errorf("the idle connection was told %q", got)
		}
		if _, open := <-idle; open {
			t.Error("the idle connection is still open")
		}
		publish(t, b, "t", "two")
		if got := <-follows; !strings.HasPrefix(got, "1:") {
			t.Errorf("the follower was told %q", got)
		}
		_ = following.Close()
		synctest.Wait()
	})
}

// A peer that closed its end without reading is found out although there is nothing to write.
func TestProbeFindsAResetConnection(t *testing.T) {
	_, _, c := start(t, Options{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	peer, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	out := output{conn: conn, timeout: time.Second}
	if err := out.probe(); err != nil {
		t.Fatalf("the connection is open: %v", err)
	}
	_ = peer.(*net.TCPConn).SetLinger(0)
	_ = peer.Close()
	for out.probe() == nil {
		c.send("PING") // something else to do until the reset has arrived
		c.want("PONG")
	}
}

// The counters tell what happened.
func TestStatsCount(t *testing.T) {
	_, s, c := start(t, Options{})
	c.send("PRODUCE t k vvv", "CONSUME t 0 0", "NONSENSE", "CONSUME t 0 0 FOLLOW")
	c.want("OK 0 0", `0:{"offset":0,"key":"k","value":"vvv"}`, "END 1")
	c.wantPrefix("ERROR")
	c.want(`0:{"offset":0,"key":"k","value":"vvv"}`)
	got := s.Stats()
	if got.Connections != 1 || got.Consumers != 1 || got.Commands != 4 || got.Failures != 1 || got.Delivered != 2 || got.DeliveredBytes != 8 || got.Publish.Count != 1 {
		t.Errorf("%+v", got)
	}
}

// Long lines are read a few at a time; who begins one and does not end it loses its place, and the connection (TXT-3).
func TestUnendingLongLineLosesItsPlace(t *testing.T) {
	_, s, stalled := start(t, Options{LongLines: 1, LineTimeout: 100 * time.Millisecond})
	if _, err := stalled.conn.Write(append([]byte("PRODUCE t - "), bytes.Repeat([]byte{'x'}, 2*longLine)...)); err != nil {
		t.Fatal(err)
	}
	for len(s.longLines) == 0 {
		runtime.Gosched()
	}
	stalled.want("ERROR: the line did not end in time")
	next := dial(t.Context(), t, s)
	next.send("PRODUCE t - " + strings.Repeat("y", 2*longLine))
	next.want("OK 0 0")
	next.send("PRODUCE t - "+strings.Repeat("z", 2*longLine), "PING")
	next.want("OK 0 1", "PONG")
}

// Large messages behind a command that takes long are not kept but read later.
func TestLongLinesWaitBehindSlowCommands(t *testing.T) {
	b, _, c := start(t, Options{})
	publish(t, b, "t", "one")
	c.send("CREATE u", "CONSUME t 0 0 FOLLOW LIMIT 2")
	c.want("OK u 1", `0:{"offset":0,"key":null,"value":"one"}`)
	c.send("PRODUCE u - " + strings.Repeat("x", 3*longLine))
	c.want("ERROR: "+errBehindFollow.Error(), "OK 0 0")
}

func BenchmarkPipelinedProduce(b *testing.B) {
	fake := brokertest.New()
	s := New(fake, Options{})
	ours, theirs := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve(context.Background(), theirs, &broker.Session{})
	}()
	go func() { _, _ = io.Copy(io.Discard, ours) }()
	chunk := bytes.Repeat([]byte("PRODUCE t customer-17 "+strings.Repeat("x", 100)+"\n"), 100)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%100 == 0 {
			if _, err := ours.Write(chunk); err != nil {
				b.Fatal(err)
			}
		}
	}
	_ = ours.Close()
	<-served
}
