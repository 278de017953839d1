package textsrv

import "strings"

// help is the answer to HELP. It ends with END, so that a program knows where.
var help = strings.Join([]string{
	"Commands, one a line; case does not matter in their names.",
	"  " + usages[verbProduce],
	"      stores a message and answers OK <partition> <offset> once it is on disk",
	"  " + usages[verbConsume],
	"      writes a line <offset>:<json> for each message, then END <next offset>",
	"      FOLLOW goes on with what comes; LIMIT ends after so many messages",
	"  " + usages[verbStop] + "      ends a FOLLOW",
	"  " + usages[verbTopics] + "    lists <topic> <partitions>",
	"  " + usages[verbCreate],
	"  " + usages[verbDelete],
	"  " + usages[verbOffsets] + "      lists <partition> <oldest offset> <next offset>",
	"  " + usages[verbHelp] + "      shows this",
	"  " + usages[verbPing] + "      answers PONG",
	"  " + usages[verbQuit] + "      answers OK and closes",
	`In keys and values: \n \r \t \\ \xNN (any byte) \e (nothing: an empty key) and \N alone (null).`,
	"A value that is a JSON object or array is taken as it is.",
	"Errors are lines ERROR: <what to do>.",
	"END",
	"",
}, "\n")
