// Package testbin builds the real binary once and runs it as a process of its own, for tests that kill it. Tests in test/ call it.
package testbin
