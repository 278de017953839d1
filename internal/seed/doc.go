// Package seed gives random tests their seeds: the same one in every run unless somebody asks for others, so that a change is refused for what
// it changed and not for its luck.
//
// The random tests of every package call it; it calls nothing of the project.
//
// # What holds
//
//	SED-1  Without an environment variable a test has the same seeds on every machine and in every run; two tests of different names differ, and
//	       so do the seeds that one test asks for one after the other, by -count too.
//	SED-2  RAFKA_SEED=n gives n first, then n+1 and so on. That is how a failure is repeated: tests print their seed when they fail.
//	SED-3  RAFKA_EXPLORE=1 gives random ones. `make explore` runs the random tests so, for as long as it is told to.
//
// # How it is tested
//
// By itself: seed_test.go.
package seed
