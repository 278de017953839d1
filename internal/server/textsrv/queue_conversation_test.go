package textsrv_test

import (
	"net"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/rafkatest"
)

// A person takes messages and settles them; what is done is done, what is released comes again with a higher count.
func TestMessagesAreTakenAndSettled(t *testing.T) {
	c := talkTo(t, rafkatest.Start(t))
	c.converse(`
> PRODUCE jobs a one
OK 0 0
> PRODUCE jobs b two
OK 0 1
> PRODUCE jobs - three
OK 0 2
> TAKE jobs QUEUE w
{"id":"jobs/0/0","deliveries":1,"lock_seconds":30,"key":"a","value":"one"}
END 1
> ACK jobs/0/0
OK 1
> TAKE jobs QUEUE w 5
{"id":"jobs/0/1","deliveries":1,"lock_seconds":30,"key":"b","value":"two"}
{"id":"jobs/0/2","deliveries":1,"lock_seconds":30,"key":null,"value":"three"}
END 2
> RENEW
OK 2 30
> RELEASE jobs/0/1
OK 1
> PEEK jobs QUEUE w 5
{"id":"jobs/0/1","deliveries":1,"key":"b","value":"two"}
{"id":"jobs/0/2","deliveries":0,"key":null,"value":"three"}
END 2
> REJECT
OK 1
> TAKE jobs QUEUE w 5 WAIT 10
{"id":"jobs/0/1","deliveries":2,"lock_seconds":30,"key":"b","value":"two"}
END 1
> ACK
OK 1
> ACK
ERROR: this connection holds nothing that the last TAKE gave; send TAKE first, or name ids
> ACK jobs/0/1
ERROR: this connection does not hold jobs/0/1, so nothing was done; messages are held by the connection that took them, until their lock runs out
> TAKE jobs QUEUE w
END 0
> OFFSETS QUEUE w
jobs 0 3 0
END 1
> GROUPS
w share stable
END 1
> QUIT
OK
`)
}

// What a connection holds is free when it closes, and its member leaves the group at once, not by a timeout (TXT-6).
func TestClosingGivesBackWhatIsHeld(t *testing.T) {
	b := rafkatest.Start(t)
	holder, other := talkTo(t, b), talkTo(t, b)
	holder.converse(`
> PRODUCE jobs - one
OK 0 0
> TAKE jobs QUEUE w
{"id":"jobs/0/0","deliveries":1,"lock_seconds":30,"key":null,"value":"one"}
END 1
`)
	other.converse(`
> TAKE jobs QUEUE w
END 0
> ACK jobs/0/0
ERROR: this connection does not hold jobs/0/0, so nothing was done; messages are held by the connection that took them, until their lock runs out
> TAKE jobs QUEUE w WAIT 60
`)
	holder.converse("> QUIT\nOK\n")
	other.converse(`
{"id":"jobs/0/0","deliveries":2,"lock_seconds":30,"key":null,"value":"one"}
END 1
> ACK
OK 1
`)
	_ = other.conn.Close()
	talkTo(t, b).until("GROUPS", "w share empty")
}

// A client that is gone in the middle of a TAKE leaves nothing behind: no member, no message held (TXT-3, TXT-5, TXT-6).
func TestVanishedTakerLeavesTheGroup(t *testing.T) {
	b := rafkatest.Start(t)
	watcher := talkTo(t, b)
	for range 3 {
		taker := talkTo(t, b)
		taker.send("TAKE jobs QUEUE w 10 WAIT 3600")
		watcher.until("GROUPS", "w share stable")
		_ = taker.conn.(*net.TCPConn).SetLinger(0) // a reset, as of a process that was killed
		_ = taker.conn.Close()
		watcher.until("GROUPS", "w share empty")
	}
	watcher.converse(`
> PRODUCE jobs - one
OK 0 0
> TAKE jobs QUEUE w WAIT 30
{"id":"jobs/0/0","deliveries":1,"lock_seconds":30,"key":null,"value":"one"}
END 1
`)
}

// A queue begins with what was there before it, also where its name was never heard; one whose settings say otherwise does as they say.
func TestQueueBeginsWithTheOldestMessage(t *testing.T) {
	b := rafkatest.Start(t)
	set := kmsg.NewPtrIncrementalAlterConfigsRequest()
	latest := "latest"
	set.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeGroupConfig, ResourceName: "newest",
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "share.auto.offset.reset", Op: kmsg.IncrementalAlterConfigOpSet, Value: &latest}}}}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if a, err := set.RequestWith(t.Context(), client); err != nil || a.Resources[0].ErrorCode != 0 {
		t.Fatal(a, err)
	}
	talkTo(t, b).converse(`
> PRODUCE jobs - one
OK 0 0
> PEEK jobs QUEUE oldest
{"id":"jobs/0/0","deliveries":0,"key":null,"value":"one"}
END 1
> TAKE jobs QUEUE oldest
{"id":"jobs/0/0","deliveries":1,"lock_seconds":30,"key":null,"value":"one"}
END 1
> QUIT
OK
`)
	talkTo(t, b).converse(`
> TAKE jobs QUEUE newest
END 0
> PRODUCE jobs - two
OK 0 1
> PEEK jobs QUEUE newest 9
{"id":"jobs/0/1","deliveries":0,"key":null,"value":"two"}
END 1
> TAKE jobs QUEUE newest 9 WAIT 30
{"id":"jobs/0/1","deliveries":1,"lock_seconds":30,"key":null,"value":"two"}
END 1
`)
}

// Messages of all partitions go to the takers there are, each to one (SHR-1 as the door sees it).
func TestTakersShareAQueue(t *testing.T) {
	b := rafkatest.Start(t)
	first, second := talkTo(t, b), talkTo(t, b)
	first.converse("> CREATE jobs 3\nOK jobs 3\n")
	const messages = 60
	for range messages {
		first.send("PRODUCE jobs - x")
	}
	for range messages {
		first.line()
	}
	taken := map[string]bool{}
	for len(taken) < messages {
		for _, c := range []*talker{first, second} {
			c.send("TAKE jobs QUEUE w 7")
			line := c.line()
			for ; strings.HasPrefix(line, "{"); line = c.line() {
				id, _, _ := strings.Cut(line, `","deliveries":1`)
				if id == line || taken[id] {
					t.Fatalf("%s was taken before, or is not told as delivered once", line)
				}
				taken[id] = true
			}
			if line != "END 0" {
				c.send("ACK")
				if got := c.line(); !strings.HasPrefix(got, "OK ") {
					t.Fatal(got)
				}
			}
		}
	}
	first.send("OFFSETS QUEUE w")
	for range 3 {
		if line := first.line(); !strings.HasSuffix(line, " 0") {
			t.Errorf("%q: something is left", line)
		}
	}
}

// STOP ends a WAIT, and what waits behind one ends it as it ends a FOLLOW.
func TestWaitEnds(t *testing.T) {
	b := rafkatest.Start(t)
	c := talkTo(t, b)
	c.converse(`
> TAKE jobs QUEUE w WAIT 3600
> STOP
END 0
OK
> TAKE jobs QUEUE w WAIT 0
END 0
> TAKE jobs QUEUE w WAIT 3600
`)
	c.send(strings.Repeat("PING\n", 300))
	if got := c.line(); !strings.HasPrefix(got, "ERROR: too much waits behind FOLLOW or WAIT") {
		t.Error(got)
	}
}

// A connection holds a bounded number of messages (TXT-3).
func TestConnectionHoldsSoManyMessages(t *testing.T) {
	c := talkTo(t, rafkatest.Start(t))
	c.send(strings.Repeat("PRODUCE jobs - x\n", 1200) + "PING")
	for c.line() != "PONG" {
	}
	total := 0
	for {
		c.send("TAKE jobs QUEUE w 500")
		line := c.line()
		for ; strings.HasPrefix(line, "{"); line = c.line() {
			total++
		}
		if strings.HasPrefix(line, "ERROR") {
			break
		}
	}
	if total != 1000 {
		t.Errorf("holds %d messages, want 1000", total)
	}
	c.converse(`
> RELEASE jobs/0/3
OK 1
> TAKE jobs QUEUE w 500 WAIT 30
{"id":"jobs/0/3","deliveries":2,"lock_seconds":30,"key":null,"value":"x"}
END 1
`)
}

// A taker that does not read what it is given hurts nobody else, and what it was given is there again when it closes (TXT-3, TXT-6).
func TestSlowTakerHurtsOnlyItself(t *testing.T) {
	b := rafkatest.Start(t)
	slow, quick := talkTo(t, b), talkTo(t, b)
	const messages = 30
	for range messages {
		quick.send("PRODUCE jobs - " + strings.Repeat("x", 500<<10))
	}
	for range messages {
		quick.line()
	}
	slow.send(strings.Repeat("TAKE jobs QUEUE w 5\n", messages))
	slow.line() // the rest stays in the pipe
	quick.converse(`
> PRODUCE other - one
OK 0 0
> TAKE other QUEUE v
{"id":"other/0/0","deliveries":1,"lock_seconds":30,"key":null,"value":"one"}
END 1
`)
	_ = slow.conn.Close()
	for got := 0; got < messages; {
		quick.send("TAKE jobs QUEUE w 30 WAIT 60")
		for strings.HasPrefix(quick.line(), "{") {
			got++
		}
		quick.send("ACK")
		quick.line()
	}
	quick.converse("> OFFSETS QUEUE w\njobs 0 30 0\nEND 1\n")
}
