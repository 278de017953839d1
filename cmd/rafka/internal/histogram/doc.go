// Package histogram counts durations in logarithmic buckets and tells their percentiles.
// It is called by the benchmarks of the command line; it calls nothing and reads no clock.
//
// What holds:
//
//	HIS-1  A reported percentile is never below the true one and at most 1/64 (1.6 %) above it, and never above Max.
//	HIS-2  Memory is fixed (about 30 KB), whatever is recorded.
//
// How it is tested: against sorted slices of random durations.
package histogram
