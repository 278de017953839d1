package textsrv_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka"
	"github.com/rafka-io/rafka/rafkatest"
)

// Groups remember where they were, and errors say what to do (TXT-4, TXT-6).
func TestGroupsAndQueuesAnswer(t *testing.T) {
	b := rafkatest.Start(t)
	c := talkTo(t, b)
	c.converse(`
> GROUPS
END 0
> COMMIT
ERROR: this connection was given nothing to commit; send CONSUME <topic> GROUP <group> [FOLLOW] [LIMIT <n>] first, or name the offset: COMMIT [<topic> <partition> <offset> GROUP <group>]
> CREATE t 2
OK t 2
> PRODUCE t - a
OK 0 0
> PRODUCE t - b
OK 1 0
> PRODUCE t - c
OK 0 1
> CONSUME t GROUP g
0:{"partition":0,"offset":0,"key":null,"value":"a"}
1:{"partition":0,"offset":1,"key":null,"value":"c"}
0:{"partition":1,"offset":0,"key":null,"value":"b"}
END 0:2 1:1
> OFFSETS GROUP g
END 0
> COMMIT
OK 0:2 1:1
> CONSUME t group g
END 0:2 1:1
> COMMIT t 0 1 GROUP g
OK 0:1
> OFFSETS GROUP g
t 0 1 1
t 1 1 0
END 2
> CONSUME t GROUP g LIMIT 1
1:{"partition":0,"offset":1,"key":null,"value":"c"}
END 0:2 1:1
> COMMIT
OK 0:2 1:1
> COMMIT t 2 0 GROUP g
ERROR: topic t has no partition 2; it has 0 to 1
> COMMIT u 0 0 GROUP g
ERROR: there is no topic "u"; TOPICS lists those there are
> COMMIT t 0 -1 GROUP g
ERROR: "-1" is no offset: use a number from 0
> COMMIT t 0 1
ERROR: write it as: COMMIT [<topic> <partition> <offset> GROUP <group>]
> CONSUME t GROUP
ERROR: write it as: CONSUME <topic> GROUP <group> [FOLLOW] [LIMIT <n>]
> CONSUME nothing GROUP g
ERROR: there is no topic "nothing"; create it first, or publish to it
> COMMIT t 0 1 GROUP two\x20words
OK 0:1
> COMMIT t 0 1 GROUP \N
ERROR: a group's name cannot be empty
> GROUPS
g classic empty
two\x20words classic empty
END 2
> TAKE t QUEUE g
ERROR: group g is no queue; GROUPS lists what there is, choose another name
> PEEK t QUEUE g
ERROR: group g is no queue; GROUPS lists what there is, choose another name
> OFFSETS QUEUE g
ERROR: there is no queue g; the first TAKE makes it
> TAKE t QUEUE w 2
{"id":"t/0/0","deliveries":1,"lock_seconds":30,"key":null,"value":"a"}
{"id":"t/0/1","deliveries":1,"lock_seconds":30,"key":null,"value":"c"}
END 2
> TAKE t QUEUE v
ERROR: this connection takes from topic t for queue w already; use another connection for queue v
> ACK t/0/0 t/1/0
ERROR: this connection does not hold t/1/0, so nothing was done; messages are held by the connection that took them, until their lock runs out
> ACK t/0
ERROR: "t/0" is no id: use those that TAKE gives, <topic>/<partition>/<offset>
> ACK t/0/0 t/0/0
OK 1
> COMMIT t 0 1 GROUP w
ERROR: there is no group w that commits offsets; GROUPS lists what there is
> CONSUME t GROUP w
ERROR: there is no group w that commits offsets; GROUPS lists what there is
> OFFSETS GROUP w
ERROR: there is no group w that commits offsets; GROUPS lists what there is
> TAKE t QUEUE
ERROR: write it as: TAKE <topic> QUEUE <group> [n] [WAIT <seconds>]
> TAKE t QUEUE w 501
ERROR: "501" is no number of messages: use 1 to 500
> TAKE t QUEUE w WAIT 4000
ERROR: WAIT "4000": use 0 to 3600 seconds
> PEEK t QUEUE w WAIT 3
ERROR: write it as: PEEK <topic> QUEUE <group> [n]
> PEEK nothing QUEUE w
ERROR: there is no topic "nothing"; TOPICS lists those there are
> TAKE ../etc QUEUE w
ERROR: Topic name is invalid: '../etc' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'
> DELETE t
OK t
> ACK t/0/1
ERROR: t/0/1: the topic was deleted
> PRODUCE t - anew
OK 0 0
> TAKE t QUEUE w WAIT 30
{"id":"t/0/0","deliveries":1,"lock_seconds":30,"key":null,"value":"anew"}
END 1
> ACK
OK 1
`)
}

// A FOLLOW for a group goes on where the group was, and what it gave can be committed when it has ended.
func TestFollowForAGroup(t *testing.T) {
	b := rafkatest.Start(t)
	follower, other := talkTo(t, b), talkTo(t, b)
	follower.send("CONSUME t GROUP g FOLLOW") // creates the topic, as first use does
	other.converse("> PRODUCE t - one\nOK 0 0\n")
	follower.converse(`
0:{"partition":0,"offset":0,"key":null,"value":"one"}
> STOP
END 0:1
OK
> COMMIT
OK 0:1
`)
	other.converse(`
> PRODUCE t - two
OK 0 1
> OFFSETS GROUP g
t 0 1 1
END 1
> CONSUME t GROUP g FOLLOW LIMIT 1
1:{"partition":0,"offset":1,"key":null,"value":"two"}
END 0:2
`)
}

// Members of a group commit for it, nobody else meanwhile (GRP-1 as the door sees it).
func TestGroupWithMembersIsNotCommittedFor(t *testing.T) {
	b := rafkatest.Start(t, rafka.WithSetting("group.initial.rebalance.delay.ms", "0"))
	c := talkTo(t, b)
	c.converse("> PRODUCE t - a\nOK 0 0\n")
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if f := client.PollRecords(t.Context(), 1); f.NumRecords() != 1 {
		t.Fatal(f.Err())
	}
	c.converse(`
> COMMIT t 0 1 GROUP g
ERROR: group g has members, and only they commit while they are there; stop them, or use a group of your own
`)
}
