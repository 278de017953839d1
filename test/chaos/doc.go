// Package chaos runs the real binary as a cluster whose brokers live in network namespaces of their own, does to it what machines and networks do,
// and checks that every promise was kept.
//
// Brokers are killed with SIGKILL, frozen, cut off from everybody, from the other brokers only or in one direction only, pairs of them from each other,
// and the controller from all others; packets are late, lost, doubled and out of order; a disk is full; several of these at a time. Meanwhile the
// clients of test/workload work. After each round what was done is taken back; then everybody must get on, and the cluster must be whole again.
//
// BenchmarkFailover measures, in the same way, for how long a partition takes no write.
//
// It needs Linux and root, and says so where it skips (test/chaos/internal/wires). RAFKA_CHAOS_ROUNDS sets how many rounds there are, RAFKA_SEED
// repeats a schedule; what the machine does with it differs from run to run.
package chaos
