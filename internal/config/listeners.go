package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Listener is an address that clients connect to, or are told to.
type Listener struct {
	Name       string // such as PLAINTEXT or INTERNAL
	Host       string // empty: all interfaces
	Port       uint16 // 0: any free one
	Protocol   string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
	Controller bool   // for controllers, not for clients
}

// Address is HOST:PORT.
func (l Listener) Address() string { return net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))) }

// Listeners are those of listeners, in their order. Empty: Kafka's door is closed.
func (s *Static) Listeners() []Listener { return s.mustListeners("listeners") }

// Advertised are those of advertised.listeners; nil if it was not set.
func (s *Static) Advertised() []Listener { return s.mustListeners("advertised.listeners") }

func (s *Static) mustListeners(key string) []Listener {
	l, err := s.listeners(key)
	if err != nil {
		panic("config: " + key + " was validated: " + err.Error())
	}
	return l
}

func (s *Static) listeners(key string) ([]Listener, error) {
	protocols := map[string]string{}
	for _, pair := range splitList(s.String("listener.security.protocol.map")) {
		name, protocol, ok := strings.Cut(pair, ":")
		name, protocol = strings.ToUpper(strings.TrimSpace(name)), strings.ToUpper(strings.TrimSpace(protocol))
		if !ok || name == "" {
			return nil, fmt.Errorf("listener.security.protocol.map has %q where NAME:PROTOCOL is expected", pair)
		}
		if !slices.Contains([]string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}, protocol) {
			return nil, fmt.Errorf("listener.security.protocol.map gives %s the unknown protocol %q: use PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", name, protocol)
		}
		protocols[name] = protocol
	}
	controllers := s.List("controller.listener.names")
	_, _, mapped := s.Set("listener.security.protocol.map")
	var list []Listener
	for _, text := range s.List(key) {
		l, err := parseListener(text)
		if err != nil {
			return nil, err
		}
		l.Controller = slices.ContainsFunc(controllers, func(c string) bool { return strings.EqualFold(c, l.Name) })
		l.Protocol = protocols[l.Name]
		if l.Protocol == "" && l.Controller && !mapped {
			l.Protocol = "PLAINTEXT" // as Kafka does where nobody wrote a map
		}
		if l.Protocol == "" {
			return nil, fmt.Errorf("%s names listener %s, which listener.security.protocol.map does not have: add %s:PLAINTEXT there", key, l.Name, l.Name)
		}
		if slices.ContainsFunc(list, func(o Listener) bool { return o.Name == l.Name }) {
			return nil, fmt.Errorf("%s has listener %s twice: each needs a name of its own", key, l.Name)
		}
		if l.Port != 0 && key == "listeners" && slices.ContainsFunc(list, func(o Listener) bool { return o.Port == l.Port && o.Host == l.Host }) {
			return nil, fmt.Errorf("listeners has %s twice: each needs an address of its own", l.Address())
		}
		list = append(list, l)
	}
	return list, nil
}

// parseListener reads NAME://HOST:PORT. A host that is an IPv6 address stands in brackets.
func parseListener(text string) (l Listener, err error) {
	name, address, ok := strings.Cut(text, "://")
	if !ok || name == "" {
		return l, fmt.Errorf("listener %q is not of the form NAME://HOST:PORT, such as PLAINTEXT://:9092", text)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return l, fmt.Errorf("listener %q is not of the form NAME://HOST:PORT, such as PLAINTEXT://:9092: %w", text, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return l, fmt.Errorf("listener %q has port %q: expected 0 to 65535", text, port)
	}
	return Listener{Name: strings.ToUpper(name), Host: host, Port: uint16(n)}, nil
}
