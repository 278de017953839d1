// Package rafkapb is the generated code of rafka.proto: the messages of rafka.BrokerService, its client and its server interface.
// internal/server/grpcsrv serves it, and any program may call it; it imports nothing of ours.
//
// What holds:
//
//	API-1  Names and numbers that were ever released never change; what is new gets new numbers.
//
// How it is tested: the descriptors against the table of names and numbers that old clients rely on.
package rafkapb

//go:generate protoc -I ../.. --go_out=../.. --go_opt=paths=source_relative --go-grpc_out=../.. --go-grpc_opt=paths=source_relative api/rafka/rafka.proto
