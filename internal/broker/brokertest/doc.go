// Package brokertest is a broker in memory for the tests of doors: it keeps what it is given, waits as the real one does, and can be
// told to hold back acknowledgements, to fail, and to forget old records.
// Groups are the real ones, over logs in memory (StartGroups).
// Tests of internal/server and of internal/broker call it; it calls metadata, record and, for groups, broker and coordinator. It has no disk,
// replicas, hooks or quotas.
//
// How it is tested: by its use; and the tests of internal/app run the same doors over the real broker.
package brokertest
