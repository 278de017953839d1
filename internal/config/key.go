package config

// Key is a row of the table: everything known about one setting.
type Key struct {
	Name       string
	Type       Type
	Default    string // as it would be written
	NoDefault  bool   // the default is null
	Importance Importance
	Valid      string // Kafka's notation, see parseValid; empty: whatever the type allows
	Tier       Tier
	Mode       Mode     // of broker keys
	Hidden     bool     // described only once it has been set
	AliasOf    string   // another spelling of this key, for people who come from elsewhere
	Broker     []string // the broker keys that give a topic's or group's key its default, first the one that goes first
	Doc        string   // one line for people; empty where Kafka's name has to do

	// Built from the above when the program starts.
	check      func(value string) string // what is wrong, in Kafka's words; empty if nothing is
	aliases    []*Key                    // whose AliasOf this is
	brokerKeys []*Key                    // those of Broker
}

// Sensitive reports whether the value must not be shown (CFG-5).
func (k *Key) Sensitive() bool { return k.Type == Password }

// IsList reports whether values can be appended and subtracted.
func (k *Key) IsList() bool { return k.Type == List }

// Type is a setting's type, with the codes of DescribeConfigs.
type Type int8

// Kafka's types.
const (
	Boolean  Type = 1
	String   Type = 2
	Int      Type = 3
	Short    Type = 4
	Long     Type = 5
	Double   Type = 6
	List     Type = 7
	Class    Type = 8
	Password Type = 9
)

var typeNames = [...]string{Boolean: "BOOLEAN", String: "STRING", Int: "INT", Short: "SHORT", Long: "LONG", Double: "DOUBLE", List: "LIST", Class: "CLASS", Password: "PASSWORD"}

// String is Kafka's name of the type.
func (t Type) String() string { return typeNames[t] }

// Importance is Kafka's hint how much a setting matters.
type Importance int8

// Kafka's importances.
const (
	High Importance = iota
	Medium
	Low
)

// String is Kafka's name of the importance.
func (i Importance) String() string { return [...]string{"HIGH", "MEDIUM", "LOW"}[i] }

// Scope says what a setting belongs to.
type Scope int8

// The scopes, each a table of its own.
const (
	Broker Scope = iota
	Topic
	Group
	ClientMetrics
	scopes // how many there are
)

// String is the scope's name in messages.
func (s Scope) String() string {
	return [...]string{"broker", "topic", "group", "client metrics"}[s]
}

// Tier says what setting a key does.
type Tier int8

const (
	Ignored Tier = iota // accepted, described, never with an effect: it tunes what Rafka does not have
	Planned             // accepted and described; has no effect yet
	Acts
	Refused // any value but the default is an error: it would load code, or switch on what must not be believed to be on
)

// Mode says whether a broker key can change while the broker runs.
type Mode int8

const (
	ReadOnly    Mode = iota // needs a restart
	PerBroker               // dynamic, for one broker
	ClusterWide             // dynamic, for one broker or for all
)

// String is Kafka's name of the mode.
func (m Mode) String() string { return [...]string{"read-only", "per-broker", "cluster-wide"}[m] }
