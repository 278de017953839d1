package textsrv

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

type verb int

const (
	verbNone verb = iota // an empty line: no command, no answer
	verbProduce
	verbConsume
	verbStop
	verbTopics
	verbCreate
	verbDelete
	verbOffsets
	verbHelp
	verbPing
	verbQuit
)

// allPartitions stands for * in CONSUME.
const allPartitions = -1

// command is a parsed line. key and value alias the line.
type command struct {
	verb       verb
	topic      string
	key, value []byte // nil: null
	partition  int32  // or allPartitions
	from       kafka.Offset
	follow     bool
	limit      int64 // 0: none
	partitions int32 // of CREATE; -1: the broker's default
}

// usages are the forms of the commands, for errors and HELP.
var usages = map[verb]string{
	verbProduce: "PRODUCE <topic> <key or -> <value>",
	verbConsume: "CONSUME <topic> <partition or *> <offset, earliest or latest> [FOLLOW] [LIMIT <n>]",
	verbStop:    "STOP",
	verbTopics:  "TOPICS",
	verbCreate:  "CREATE <topic> [partitions]",
	verbDelete:  "DELETE <topic>",
	verbOffsets: "OFFSETS <topic>",
	verbHelp:    "HELP",
	verbPing:    "PING",
	verbQuit:    "QUIT",
}

var verbNames = map[string]verb{
	"PRODUCE": verbProduce, "CONSUME": verbConsume, "STOP": verbStop, "TOPICS": verbTopics, "CREATE": verbCreate,
	"DELETE": verbDelete, "OFFSETS": verbOffsets, "HELP": verbHelp, "?": verbHelp, "PING": verbPing, "QUIT": verbQuit, "EXIT": verbQuit,
}

// longestVerb bounds what is looked up.
const longestVerb = len("PRODUCE")

// parse reads a line and decodes its escapes in place.
func parse(line []byte) (command, error) {
	word, rest := cutField(line)
	if len(word) == 0 {
		return command{}, nil
	}
	c := command{partition: allPartitions, partitions: -1}
	if len(word) <= longestVerb {
		c.verb = verbNames[strings.ToUpper(string(word))]
	}
	var err error
	switch c.verb {
	case verbNone:
		return c, fmt.Errorf("there is no command \"%s\"; send HELP for the list", printable(word))
	case verbProduce:
		err = c.parseProduce(rest)
	case verbConsume:
		err = c.parseConsume(rest)
	case verbCreate, verbDelete, verbOffsets:
		err = c.parseTopic(rest)
	default:
		if len(fields(rest)) > 0 {
			err = fmt.Errorf("%s takes nothing", usages[c.verb])
		}
	}
	return c, err
}

func (c *command) parseProduce(rest []byte) (err error) {
	topic, rest := cutField(rest)
	key, rest := cutField(rest)
	if len(key) == 0 || len(rest) == 0 {
		return c.misused()
	}
	c.topic = string(topic)
	if string(key) != "-" {
		if c.key, err = unescape(key); err != nil {
			return fmt.Errorf("the key: %w", err)
		}
	}
	if c.value, err = unescapeValue(rest[1:]); err != nil { // one blank ends the key, the others are the value's
		return fmt.Errorf("the value: %w", err)
	}
	return nil
}

func (c *command) parseConsume(rest []byte) error {
	args := fields(rest)
	if len(args) < 3 {
		return c.misused()
	}
	c.topic = args[0]
	if args[1] != "*" {
		p, err := strconv.ParseInt(args[1], 10, 32)
		if err != nil || p < 0 {
			return fmt.Errorf("\"%s\" is no partition: use a number from 0, or * for all of them", printable([]byte(args[1])))
		}
		c.partition = int32(p)
	}
	switch strings.ToLower(args[2]) {
	case "earliest":
		c.from = broker.FromEarliest
	case "latest":
		c.from = broker.FromLatest
	default:
		o, err := strconv.ParseInt(args[2], 10, 64)
		if err != nil || o < 0 {
			return fmt.Errorf("\"%s\" is no offset: use a number from 0, earliest or latest", printable([]byte(args[2])))
		}
		c.from = kafka.Offset(o)
	}
	for i := 3; i < len(args); i++ {
		switch strings.ToUpper(args[i]) {
		case "FOLLOW":
			c.follow = true
		case "LIMIT":
			if i++; i == len(args) {
				return c.misused()
			}
			n, err := strconv.ParseInt(args[i], 10, 64)
			if err != nil || n < 1 {
				return fmt.Errorf("LIMIT \"%s\": use a number from 1 to %d", printable([]byte(args[i])), int64(math.MaxInt64))
			}
			c.limit = n
		default:
			return c.misused()
		}
	}
	return nil
}

func (c *command) parseTopic(rest []byte) error {
	args := fields(rest)
	if len(args) < 1 || len(args) > 2 || len(args) == 2 && c.verb != verbCreate {
		return c.misused()
	}
	c.topic = args[0]
	if len(args) == 2 {
		n, err := strconv.ParseInt(args[1], 10, 32)
		if err != nil || n < 1 {
			return fmt.Errorf("\"%s\" is no number of partitions: use a number from 1", printable([]byte(args[1])))
		}
		c.partitions = int32(n)
	}
	return nil
}

func (c *command) misused() error { return fmt.Errorf("write it as: %s", usages[c.verb]) }

const blanks = " \t"

// cutField returns the next word and what follows it, beginning with the blank after it.
func cutField(line []byte) (word, rest []byte) {
	line = bytes.TrimLeft(line, blanks)
	if i := bytes.IndexAny(line, blanks); i >= 0 {
		return line[:i], line[i:]
	}
	return line, nil
}

// maxFields is more than any command has.
const maxFields = 8

func fields(line []byte) []string {
	var all []string
	for len(all) < maxFields {
		word, rest := cutField(line)
		if len(word) == 0 {
			break
		}
		all, line = append(all, string(word)), rest
	}
	return all
}

// isHTTP recognizes a browser or curl that came to the wrong port.
func isHTTP(line []byte) bool {
	method, rest := cutField(line)
	switch string(method) {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PRI":
		return bytes.Contains(rest, []byte(" HTTP/"))
	}
	return false
}
