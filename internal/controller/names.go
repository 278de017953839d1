package controller

import (
	"fmt"

	"github.com/rafka-io/rafka/internal/kafka"
)

// maxTopicName leaves room for the partition number in the name of a directory.
const maxTopicName = 249

// Topics that Rafka and Kafka keep for themselves. Coordinators make them; metadataTopic exists nowhere, its name is reserved.
const (
	offsetsTopic      = "__consumer_offsets"
	transactionsTopic = "__transaction_state"
	shareStateTopic   = "__share_group_state"
	metadataTopic     = "__cluster_metadata"
)

// IsInternal reports whether a topic of that name belongs to the cluster itself. First use does not create it; asking for it does.
func IsInternal(name string) bool {
	return name == offsetsTopic || name == transactionsTopic || name == shareStateTopic
}

// CheckTopicName refuses what cannot be a topic's name, with kafka.InvalidTopicException.
func CheckTopicName(name string) error {
	if why := badName(name); why != "" {
		return kafka.Errorf(kafka.InvalidTopicException, "Topic name is invalid: %s", why)
	}
	return nil
}

func badName(name string) string {
	switch {
	case name == "":
		return "the empty string is not allowed"
	case name == ".":
		return "'.' is not allowed"
	case name == "..":
		return "'..' is not allowed"
	case len(name) > maxTopicName:
		return fmt.Sprintf("the length of '%s' is longer than the max allowed length %d", name, maxTopicName)
	}
	for i := range len(name) {
		if !isNameByte(name[i]) {
			return fmt.Sprintf("'%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
		}
	}
	return ""
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}
