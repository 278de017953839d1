package group

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// talk is a conversation of named clients with one group, written down.
type talk struct {
	*world
	group   string
	joins   map[string]laterJoin
	syncs   map[string]laterSync
	joined  map[string]*kmsg.JoinGroupResponse
	members map[string]string // member id of a client
	order   []string
}

func newTalk(t *testing.T) *talk {
	return &talk{
		world: newWorld(t), group: "g", joins: map[string]laterJoin{}, syncs: map[string]laterSync{},
		joined: map[string]*kmsg.JoinGroupResponse{}, members: map[string]string{},
	}
}

// answers writes down what has been answered since.
func (k *talk) answers() {
	for _, who := range k.order {
		if r := k.joins[who]; r != nil && settled(r) {
			delete(k.joins, who)
			a, err := r.Result()
			if err != nil {
				k.say("  %s: join failed: %v", who, err)
				continue
			}
			k.members[who] = a.MemberID
			if a.ErrorCode == 0 {
				k.joined[who] = a
			}
			skip := ""
			if a.SkipAssignment {
				skip = " skip-assignment"
			}
			k.say("  %s: join %s generation=%d member=%s leader=%s protocol=%s tells-of=%d%s", who, kafka.ErrorCode(a.ErrorCode), a.Generation, a.MemberID, a.LeaderID, text(a.Protocol), len(a.Members), skip)
		}
		if r := k.syncs[who]; r != nil && settled(r) {
			delete(k.syncs, who)
			a, err := r.Result()
			if err != nil {
				k.say("  %s: sync failed: %v", who, err)
				continue
			}
			k.say("  %s: sync %s assignment=%q protocol=%s", who, kafka.ErrorCode(a.ErrorCode), a.MemberAssignment, text(a.Protocol))
		}
	}
	k.told(k.group)
}

func (k *talk) know(who string) {
	for _, o := range k.order {
		if o == who {
			return
		}
	}
	k.order = append(k.order, who)
}

// Join sends JoinGroup with the member id that the client has.
func (k *talk) Join(who string, change ...func(*kmsg.JoinGroupRequest)) {
	k.know(who)
	req := joinRequest(k.group, k.members[who])
	for _, c := range change {
		c(req)
	}
	k.say("%s joins as %q", who, req.MemberID)
	k.joins[who] = k.join(req)
	k.answers()
}

// Enter joins with the two steps that a new member needs.
func (k *talk) Enter(who string) {
	k.Join(who)
	k.Join(who)
}

func (k *talk) Sync(who string, change ...func(*kmsg.SyncGroupRequest)) {
	req := syncRequest(k.joined[who], k.group)
	for _, c := range change {
		c(req)
	}
	k.say("%s syncs generation %d", who, req.Generation)
	k.syncs[who] = k.sync(req)
	k.answers()
}

func (k *talk) Heartbeat(who string) {
	k.say("%s heartbeats: %s", who, k.heartbeat(k.group, k.members[who], k.joined[who].Generation))
}

func (k *talk) Leave(who string) {
	k.say("%s leaves", who)
	r := k.leave(k.group, leaver(k.members[who]))
	k.say("  %s: leave %s %s", who, kafka.ErrorCode(r.ErrorCode), kafka.ErrorCode(r.Members[0].ErrorCode))
	delete(k.members, who)
	k.answers()
}

func (k *talk) After(d time.Duration) {
	k.say("%s later", d)
	k.Advance(d)
	k.answers()
}

func instance(name string) func(*kmsg.JoinGroupRequest) {
	return func(r *kmsg.JoinGroupRequest) { r.InstanceID = &name }
}

func protocols(names ...string) func(*kmsg.JoinGroupRequest) {
	return func(r *kmsg.JoinGroupRequest) { r.Protocols = joinRequest("", "", names...).Protocols }
}

func version(v int16) func(*kmsg.JoinGroupRequest) {
	return func(r *kmsg.JoinGroupRequest) { r.Version = v }
}

// two brings a group of two to Stable.
func (k *talk) two() {
	k.Enter("anna")
	k.Enter("bert")
	k.After(6 * time.Second)
	k.Sync("anna")
	k.Sync("bert")
}

// The whole graph of states (GRP-1, GRP-2): each file is one conversation.
func TestClassicGroupConversations(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(k *talk)
	}{
		{"life", func(k *talk) {
			k.two()
			k.Heartbeat("anna")
			k.say("-- a third joins, so all must join again")
			k.Enter("carl")
			k.Heartbeat("anna")
			k.Join("anna")
			k.Join("bert")
			k.Sync("bert")
			k.Sync("carl")
			k.Sync("anna")
			k.say("-- the leader leaves")
			k.Leave("anna")
			k.Join("carl")
			k.Join("bert")
			k.Sync("carl")
			k.Sync("bert")
			k.say("-- all leave")
			k.Leave("bert")
			k.Join("carl")
			k.Leave("carl")
		}},
		{"initial_delay", func(k *talk) {
			k.Enter("anna")
			k.After(2 * time.Second)
			k.Enter("bert")
			k.After(2 * time.Second)
			k.Enter("carl")
			k.say("-- each delay with a newcomer is followed by another one, up to the rebalance timeout")
			k.After(3 * time.Second)
			k.After(3 * time.Second)
		}},
		{"sessions", func(k *talk) {
			k.two()
			k.say("-- bert falls silent")
			for range 3 {
				k.Advance(4 * time.Second)
				k.Heartbeat("anna")
			}
			k.answers()
			k.Join("anna")
			k.say("-- and so does anna, in the middle of the rebalance")
			k.After(61 * time.Second)
		}},
		{"rebalance_timeout", func(k *talk) {
			k.two()
			k.Enter("carl")
			k.say("-- bert heartbeats and does not join again")
			for range 8 {
				k.Advance(8 * time.Second)
				k.world.heartbeat("g", k.members["bert"], 1)
				k.world.heartbeat("g", k.members["anna"], 1)
				if len(k.joins) > 0 && k.members["anna"] != "" && k.joins["anna"] == nil {
					k.Join("anna")
				}
			}
			k.answers()
			k.Heartbeat("bert")
		}},
		{"no_sync", func(k *talk) {
			k.two()
			k.Enter("carl")
			k.Join("anna")
			k.Join("bert")
			k.Sync("anna")
			k.say("-- carl joined and never asks for its assignment; it heartbeats all the same")
			for range 7 {
				k.Advance(9 * time.Second)
				for _, who := range k.order {
					k.world.heartbeat("g", k.members[who], 2)
				}
				k.Sync("bert")
			}
		}},
		{"static", func(k *talk) {
			k.Join("anna", instance("a"))
			k.Join("bert", instance("b"))
			k.After(6 * time.Second)
			k.Sync("anna")
			k.Sync("bert")
			k.say("-- bert restarts: no rebalance, its assignment stays")
			delete(k.members, "bert")
			k.Join("bert", instance("b"))
			k.Sync("bert")
			k.say("-- the leader restarts and is told to skip the assignment; an older client is not told that it leads")
			old := k.members["anna"]
			delete(k.members, "anna")
			k.Join("anna", instance("a"))
			k.Sync("anna", func(r *kmsg.SyncGroupRequest) { r.GroupAssignment = nil })
			delete(k.members, "anna")
			k.Join("anna", instance("a"), version(8))
			k.say("-- the member id of before is fenced")
			k.members["ghost"] = old
			k.Join("ghost", instance("a"))
			k.say("-- bert comes up with another protocol")
			delete(k.members, "bert")
			k.Join("bert", instance("b"), protocols("sticky", "range"))
			delete(k.members, "bert")
			k.Join("bert", instance("b"), protocols("sticky"))
			k.say("-- an admin removes an instance by its name")
			m := kmsg.NewLeaveGroupRequestMember()
			m.InstanceID = kmsg.StringPtr("b")
			r := k.leave(k.group, m)
			k.say("  removed: %s", kafka.ErrorCode(r.Members[0].ErrorCode))
			k.answers()
		}},
		{"static_while_joining", func(k *talk) {
			k.Join("anna", instance("a"))
			k.say("-- a second anna comes up while the first waits")
			first := k.joins["anna"]
			delete(k.members, "anna")
			k.Join("anna", instance("a"))
			a, _ := first.Result()
			k.say("  the first: %s", kafka.ErrorCode(a.ErrorCode))
			k.After(6 * time.Second)
			k.say("-- and a third while the second must sync")
			delete(k.members, "anna")
			k.Join("anna", instance("a"))
			k.Sync("anna")
		}},
		{"static_late", func(k *talk) {
			k.Join("anna", instance("a"))
			k.Join("bert", instance("b"))
			k.After(6 * time.Second)
			k.Sync("anna")
			k.Sync("bert")
			k.say("-- a newcomer; anna and bert are silent, and static: they keep their places until their sessions end")
			long := func(r *kmsg.JoinGroupRequest) { r.RebalanceTimeoutMillis, r.SessionTimeoutMillis = 5000, 600_000 }
			k.Join("carl", instance("c"), long)
			k.After(10 * time.Second)
			k.say("-- carl is the only one left")
			k.Sync("carl")
			k.Join("dora", instance("d"), long)
			k.say("-- the leader carl does not join again in time: dora leads, carl is still a member")
			k.After(5 * time.Second)
			k.Sync("dora")
			k.say("-- an admin removes dora while nobody is there: with no member joining, the group waits once more")
			m := kmsg.NewLeaveGroupRequestMember()
			m.InstanceID = kmsg.StringPtr("d")
			k.leave(k.group, m)
			k.answers()
			k.After(6 * time.Second)
			k.Join("carl", instance("c"), long)
		}},
		{"protocols", func(k *talk) {
			k.Join("anna", version(3), protocols("range", "sticky"))
			k.Join("bert", version(3), protocols("sticky", "range"))
			k.Join("carl", version(3), protocols("sticky", "range"))
			k.say("-- no protocol in common, another type, none at all")
			k.Join("dora", version(3), protocols("own"))
			k.Join("dora", version(3), func(r *kmsg.JoinGroupRequest) { r.MemberID, r.ProtocolType = "", "connect" })
			k.Join("dora", version(3), func(r *kmsg.JoinGroupRequest) { r.MemberID, r.Protocols = "", nil })
			k.After(6 * time.Second)
			k.Sync("anna", func(r *kmsg.SyncGroupRequest) { r.Protocol = kmsg.StringPtr("range") })
			k.Sync("anna", func(r *kmsg.SyncGroupRequest) { r.ProtocolType = kmsg.StringPtr("connect") })
			k.Sync("anna", func(r *kmsg.SyncGroupRequest) { r.Generation = 7 })
			k.Sync("anna", func(r *kmsg.SyncGroupRequest) { r.MemberID = "stranger" })
			k.Sync("bert")
			k.Sync("anna")
		}},
		{"again", func(k *talk) {
			k.Enter("anna")
			k.say("-- the connection breaks and anna asks again: the request of before gets an error")
			first := k.joins["anna"]
			k.Join("anna")
			a, _ := first.Result()
			k.say("  the first: %s", kafka.ErrorCode(a.ErrorCode))
			k.After(6 * time.Second)
			k.say("-- the answer is lost and anna asks again: the same answer")
			k.Join("anna")
			k.Enter("bert")
			k.Join("anna")
			k.Sync("bert")
			s := k.syncs["bert"]
			k.Sync("bert")
			b, _ := s.Result()
			k.say("  the first: %s", kafka.ErrorCode(b.ErrorCode))
			k.Sync("anna")
			k.say("-- a follower of a stable group is told the generation, the leader asks for a rebalance by joining")
			k.Join("bert")
			k.Join("anna")
		}},
		{"restart", func(k *talk) {
			k.two()
			k.say("-- restart: the members go on without a rebalance (GRP-6)")
			k.Restart()
			k.Heartbeat("anna")
			k.Heartbeat("bert")
			k.Sync("bert")
			k.say("-- a member that is not there any more has a session from the restart on")
			k.Advance(6 * time.Second)
			k.Heartbeat("anna")
			k.After(5 * time.Second)
		}},
		{"failed_append", func(k *talk) {
			k.Enter("anna")
			k.Enter("bert")
			k.After(6 * time.Second)
			k.Sync("bert")
			k.broken = true
			k.say("-- the log cannot be written")
			k.Sync("anna")
			k.broken = false
			k.say("-- and can again: nothing of it has happened (GRP-1)")
			k.Sync("anna")
			k.Sync("bert")
			k.Leave("anna")
			k.say("-- bert falls silent, and when its session ends the log cannot be written: it is tried again")
			k.FailNext(errNoAppend)
			k.After(10 * time.Second)
			k.After(time.Second)
		}},
		{"size", func(k *talk) {
			k.cfg.MaxSize = 2
			k.two()
			k.Join("carl")
			k.say("-- the limit is lowered: who joins last is out")
			k.cfg.MaxSize = 1
			k.Join("anna")
			k.Join("bert")
			k.After(time.Minute)
		}},
		{"errors", func(k *talk) {
			k.Join("anna", func(r *kmsg.JoinGroupRequest) { r.Group = "" })
			k.Join("anna", func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 1 })
			k.Join("anna", func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = 1 << 30 })
			k.Join("anna", func(r *kmsg.JoinGroupRequest) { r.MemberID = "stranger" })
			delete(k.members, "anna")
			k.two()
			k.Join("carl", func(r *kmsg.JoinGroupRequest) { r.MemberID = "stranger" })
			k.say("heartbeats: %s %s %s %s", k.heartbeat("", "x", 1), k.heartbeat("other", "x", 1), k.heartbeat("g", "x", 1), k.heartbeat("g", k.members["anna"], 7))
			k.say("leaving a group that is not there: %s", kafka.ErrorCode(k.leave("other", leaver("x")).ErrorCode))
			k.say("leaving as a stranger: %s", kafka.ErrorCode(k.leave("g", leaver("x")).Members[0].ErrorCode))
			v2 := kmsg.NewPtrLeaveGroupRequest()
			v2.Version, v2.Group, v2.MemberID = 2, "g", "x"
			k.say("and in version 2: %s", kafka.ErrorCode(must(k.world, func(op *coordinator.Op) *kmsg.LeaveGroupResponse { return k.Shard.LeaveGroup(op, Client{}, v2) }).ErrorCode))
		}},
		{"pending", func(k *talk) {
			k.two()
			k.say("-- carl is given an id and does not come back: it holds up the rebalance that anna asks for, for its session timeout")
			k.Join("carl")
			k.Join("anna")
			k.Join("bert")
			k.After(9 * time.Second)
			k.After(time.Second)
			k.say("-- too late")
			k.Join("carl")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newTalk(t)
			c.run(k)
			k.golden("testdata/classic_" + c.name + ".txt")
		})
	}
}
