package kafkasrv

// WriteTxnMarkers: v1-2
//
// Behaviour: a transaction coordinator ends transactions in partitions of this broker; operators do it to hanging ones (KIP-664).
// v1 flexible · v2 transaction version
// Left out: nothing.
var writeTxnMarkers = verb(Broker.WriteTxnMarkers)
