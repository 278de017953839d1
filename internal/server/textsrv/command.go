package textsrv

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

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
	verbConsumeGroup // CONSUME … GROUP
	verbGroups
	verbCommit
	verbGroupOffsets // OFFSETS GROUP
	verbQueueOffsets // OFFSETS QUEUE
	verbTake
	verbPeek
	verbAck
	verbRelease
	verbReject
	verbRenew
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
	group      string
	count      int           // of TAKE and PEEK
	wait       time.Duration // of TAKE
	ids        []messageID   // of ACK and its like; none: those of the last TAKE
}

// canWait says that the command may take as long as it likes, so STOP ends it.
func (c *command) canWait() bool { return c.follow || c.wait > 0 }

// usages are the forms of the commands, for errors and HELP.
var usages = map[verb]string{
	verbProduce:      "PRODUCE <topic> <key or -> <value>",
	verbConsume:      "CONSUME <topic> <partition or *> <offset, earliest or latest> [FOLLOW] [LIMIT <n>]",
	verbConsumeGroup: "CONSUME <topic> GROUP <group> [FOLLOW] [LIMIT <n>]",
	verbStop:         "STOP",
	verbTopics:       "TOPICS",
	verbCreate:       "CREATE <topic> [partitions]",
	verbDelete:       "DELETE <topic>",
	verbOffsets:      "OFFSETS <topic>",
	verbGroups:       "GROUPS",
	verbCommit:       "COMMIT [<topic> <partition> <offset> GROUP <group>]",
	verbGroupOffsets: "OFFSETS GROUP <group>",
	verbQueueOffsets: "OFFSETS QUEUE <group>",
	verbTake:         "TAKE <topic> QUEUE <group> [n] [WAIT <seconds>]",
	verbPeek:         "PEEK <topic> QUEUE <group> [n]",
	verbAck:          "ACK [id…]",
	verbRelease:      "RELEASE [id…]",
	verbReject:       "REJECT [id…]",
	verbRenew:        "RENEW [id…]",
	verbHelp:         "HELP",
	verbPing:         "PING",
	verbQuit:         "QUIT",
}

var verbNames = map[string]verb{
	"PRODUCE": verbProduce, "CONSUME": verbConsume, "STOP": verbStop, "TOPICS": verbTopics, "CREATE": verbCreate,
	"DELETE": verbDelete, "OFFSETS": verbOffsets, "GROUPS": verbGroups, "COMMIT": verbCommit, "TAKE": verbTake, "PEEK": verbPeek,
	"ACK": verbAck, "RELEASE": verbRelease, "REJECT": verbReject, "RENEW": verbRenew, "HELP": verbHelp, "?": verbHelp, "PING": verbPing, "QUIT": verbQuit, "EXIT": verbQuit,
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
	case verbCreate, verbDelete:
		err = c.parseTopic(rest)
	case verbOffsets:
		err = c.parseOffsets(rest)
	case verbCommit:
		err = c.parseCommit(rest)
	case verbTake, verbPeek:
		err = c.parseQueue(rest)
	case verbAck, verbRelease, verbReject, verbRenew:
		err = c.parseIDs(rest)
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

// maxFields is more than any command has but those that take ids.
const maxFields = 8

func fields(line []byte) []string { return someFields(line, maxFields) }

// someFields are the words of a line, at most so many.
func someFields(line []byte, most int) []string {
	var all []string
	for len(all) < most {
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
