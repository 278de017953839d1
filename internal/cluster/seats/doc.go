// Package seats decides which brokers vote on the metadata: it fills the seats of voters, and gives that of a dead voter to a living broker.
// app runs a Keeper on every node, which acts where the store is led; it calls quorum, and brokers through a function that app gives it.
//
// Next (pure) looks at who votes, who lives and for how long somebody was dead, and names at most one step. The order is remove, add as a learner,
// promote, because etcd adds nobody while a voter is silent, and because it is never worse: n voters of which one is dead bear as many further
// failures as the n-1 that live, and a learner that dies on its way costs nothing, while a voter too many would raise the majority.
//
// What holds:
//
//	SEA-1  A voter is taken its vote only when it has been dead for the whole of Replace, somebody can take its place or the rest bears more failures
//	       without it, and the living voters are a majority before and after; or when all live and there are more voters than wanted.
//	SEA-2  There is one change at a time: while there is a learner nobody is added, and while a voter is dead nobody is added either.
//	SEA-3  A vote is given to a living broker only, and by itself never beyond the wanted number, nor to a broker whose vote was taken by hand.
//
// What is bounded: a step of the Keeper, 30 s. It remembers one time for each member and one for each broker that failed to become a voter.
//
// How it is tested: Next against random clusters of brokers that die and come back, with the failures that are borne counted before and after each
// step; the Keeper with a store and brokers that fail; the whole with real etcds in internal/app and on the real binary in test/crash.
//
// Files: next.go (the decision), keeper.go (what carries it out).
package seats
