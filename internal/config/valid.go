package config

import (
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// checkOf builds what judges the values of a key from its type and Valid, which is Kafka's notation:
//
//	[1,...]  [1,...,9]  [1,...,9] or -1          bounds of a number
//	[a, b]  (case insensitive) [a, b]            one of these; of a list, each element, none twice
//	non-empty list, non-empty string, non-null string
//	[partitionId]:[brokerId],...                 throttled replicas: that, or *
//	address                                      HOST:PORT or empty (ours)
//
// It panics on anything else: a test reads the whole table.
func checkOf(k *Key) func(value string) string {
	byType := checkType(k.Type)
	byValid := checkValid(k)
	return func(value string) string {
		if wrong := byType(value); wrong != "" {
			return wrong
		}
		return byValid(value)
	}
}

func checkType(t Type) func(string) string {
	number := func(bits int) func(string) string {
		return func(v string) string {
			if _, err := strconv.ParseInt(v, 10, bits); err != nil {
				return "Not a number of type " + t.String()
			}
			return ""
		}
	}
	switch t {
	case Boolean:
		return func(v string) string {
			if !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
				return "Expected value to be either true or false"
			}
			return ""
		}
	case Short:
		return number(16)
	case Int:
		return number(32)
	case Long:
		return number(64)
	case Double:
		return func(v string) string {
			if f, err := strconv.ParseFloat(v, 64); err != nil || f != f {
				return "Not a number of type DOUBLE"
			}
			return ""
		}
	case List:
		return func(v string) string {
			if slices.Contains(splitList(v), "") {
				return "Configuration values must not contain empty elements."
			}
			return ""
		}
	}
	return func(string) string { return "" }
}

var bounds = regexp.MustCompile(`^\[(-?[0-9.]+),\.\.\.(?:,(-?[0-9.]+))?\](?: or (-?[0-9]+))?$`)

func checkValid(k *Key) func(string) string {
	valid := k.Valid
	switch valid {
	case "", "non-null string":
		return func(string) string { return "" }
	case "non-empty string":
		return notEmpty("String must be non-empty")
	case "non-empty list":
		// Kafka's own default is empty: it means "may not be set to nothing".
		return notEmpty("Configuration values must not be empty.")
	case "address":
		return checkAddress
	case "[latest, earliest, by_duration:PnDTnHnMn.nS]":
		return checkOffsetReset
	}
	if strings.HasPrefix(valid, "[partitionId]:[brokerId]") {
		return checkThrottled
	}
	if m := bounds.FindStringSubmatch(valid); m != nil {
		return checkBounds(m[1], m[2], m[3])
	}
	list, fold := strings.CutPrefix(valid, "(case insensitive) ")
	if !strings.HasPrefix(list, "[") || !strings.HasSuffix(list, "]") || strings.ContainsAny(list[1:len(list)-1], "[]:") {
		panic("config: " + k.Name + " has valid values that nobody understands: " + valid)
	}
	return checkOneOf(k.Type == List, fold, strings.Split(list[1:len(list)-1], ", "))
}

func notEmpty(wrong string) func(string) string {
	return func(v string) string {
		if v == "" {
			return wrong
		}
		return ""
	}
}

func checkBounds(low, high, other string) func(string) string {
	atLeast, err := strconv.ParseFloat(low, 64)
	atMost := 0.0
	if err == nil && high != "" {
		atMost, err = strconv.ParseFloat(high, 64)
	}
	if err != nil {
		panic("config: bounds " + low + " and " + high + " are no numbers")
	}
	return func(v string) string {
		f, _ := strconv.ParseFloat(v, 64) // the type was checked
		switch {
		case other != "" && v == other:
			return ""
		case other != "" && (f < atLeast || f > atMost):
			return "Value must be between " + low + " and " + high + " or equal to " + other
		case f < atLeast:
			return "Value must be at least " + low
		case high != "" && f > atMost:
			return "Value must be no more than " + high
		}
		return ""
	}
}

func checkOneOf(isList, fold bool, allowed []string) func(string) string {
	has := func(v string) bool {
		return slices.ContainsFunc(allowed, func(a string) bool { return a == v || fold && strings.EqualFold(a, v) })
	}
	wrong := "String must be one of: " + strings.Join(allowed, ", ")
	if fold {
		wrong = "String must be one of (case insensitive): " + strings.Join(allowed, ", ")
	}
	return func(v string) string {
		if !isList {
			if !has(v) {
				return wrong
			}
			return ""
		}
		elements := splitList(v)
		for i, e := range elements {
			if !has(e) {
				return wrong
			}
			if slices.Contains(elements[:i], e) {
				return "Configuration values must not be duplicated."
			}
		}
		return ""
	}
}

var throttled = regexp.MustCompile(`^[0-9]+:[0-9]+$`)

func checkThrottled(v string) string {
	if v == "" || v == "*" {
		return ""
	}
	for _, e := range splitList(v) {
		if !throttled.MatchString(e) {
			return "the value must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
		}
	}
	return ""
}

var isoDuration = regexp.MustCompile(`^P(?:([0-9]+)D)?(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:\.[0-9]{1,9})?)S)?)?$`)

func checkOffsetReset(v string) string {
	if v == "latest" || v == "earliest" {
		return ""
	}
	if d, ok := strings.CutPrefix(v, "by_duration:"); ok && isoDuration.MatchString(d) && strings.ContainsAny(d, "0123456789") && !strings.HasSuffix(d, "T") {
		return ""
	}
	return "String must be one of: latest, earliest, by_duration:PnDTnHnMn.nS"
}

func checkAddress(v string) string {
	if v == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(v)
	if err != nil {
		return "Expected HOST:PORT, or nothing"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return "Expected a port from 0 to 65535"
	}
	return ""
}

// splitList is the elements of a list as Kafka splits them: at commas, without the space around. Nothing is no element.
func splitList(v string) []string {
	if strings.TrimSpace(v) == "" {
		return nil
	}
	list := strings.Split(v, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}
