// Package tasks decides which member of a streams group (KIP-1071) runs which tasks. The package group calls it; it calls nothing and keeps
// nothing: every function is pure, and what it gives out must not be written to, for unchanged parts are shared with what came in.
//
// A task is one partition of one subtopology. Assign is the assignor "sticky": it says what each member is to have in the end. Refine says what
// each is to have meanwhile, while state that has to move is warmed up where it goes. Members of one process share a directory of state.
//
// What holds:
//
//	GRP-1  Every task is active at exactly one member, and in a process at most one member has it in any role.
//	GRP-5  An assignment depends only on the members (ids, processes, tags, what they had before) and the tasks: not on the order in which the
//	       members come, nor on time or chance.
//
// And of Assign: the numbers of active tasks of two members differ by at most one; a stateful task has as many standbys as asked for, or one in
// every other process if there are fewer; no active task leaves a member that may keep it.
//
// How it is tested: seeded random groups against those promises, with members that join and leave and tasks that come and go in between; tables
// for the small cases that people reason about.
//
// Files: set.go (sorted sets of tasks), input.go, assign.go with active.go and standby.go, refine.go (warm-up tasks).
package tasks
