// Package coordtest single-steps a coordinator's shard without a runtime: time, ids, the log and the timers are the test's.
// Tests of group, txn and share use it; it calls coordinator.
//
//	h := coordtest.New(t, func(reg *timeline.Registry) *group.Shard { return group.New(env, reg) })
//	h.Image = img                                       // what operations see; h.Now is the time
//	a, err := coordtest.Ask(h, func(s *group.Shard, op *coordinator.Op) *kmsg.HeartbeatResponse { return s.Heartbeat(op, client, q) })
//	j := coordtest.Later(h, func(s *group.Shard, op *coordinator.Op, r *coordinator.Reply[*kmsg.JoinGroupResponse]) { s.JoinGroup(op, client, q, r) })
//	h.Advance(3 * time.Second)                          // timers fire in order, each as an operation
//	answer, err, given := j.Got()
//	h.FailNext(err)                                     // the next operation that writes fails and is reverted (COR-3)
//	h.Restart()                                         // a new shard from the records (GRP-6); what was kept is lost
//	h.Log                                               // every record that was written, decoded by nobody
//	h.Effects(), h.Notes()                              // what has come since the last call
//	h.Read(func(s *group.Shard, v coordinator.View) { … })
//
// Everything is committed at once, unless Hold is called: then answers and effects leave at Commit, and reads see what was committed.
package coordtest
