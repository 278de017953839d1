package controller

import (
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Claim makes the record by which a broker says that it decides from now on, in the next term; nil if the image says so already.
func Claim(img *metadata.Image, id kafka.BrokerID) []metadata.Record {
	if img.Controller == id {
		return nil
	}
	return []metadata.Record{&metadata.ControllerRecord{Controller: id, Term: img.Term + 1}}
}
