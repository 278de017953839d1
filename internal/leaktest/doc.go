// Package leaktest fails the tests of a package that leave goroutines behind.
//
// The tests of packages whose goroutines have owners call it from TestMain; it calls nothing of the project.
//
// # What holds
//
//	LEA-1  A goroutine that ends by itself is waited for, however slow the machine; one that does not end within a minute fails the tests, with
//	       its stack.
//
// # How it is tested
//
// By itself: leaktest_test.go.
package leaktest
