package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// properties are what -X key=value may say about a connection.
type properties struct {
	brokers               []string
	user, pass, mechanism string
	tls, tlsInsecure      bool
	tlsCA, tlsCert        string
	tlsKey, clientID      string
}

// propertySetters has rpk's names first, librdkafka's (as kcat takes them) after.
var propertySetters = map[string]func(p *properties, value string) error{
	"brokers": setBrokers, "bootstrap.servers": setBrokers, "metadata.broker.list": setBrokers,
	"user": setUser, "sasl.username": setUser,
	"pass": setPass, "sasl.password": setPass,
	"sasl.mechanism": setMechanism, "sasl.mechanisms": setMechanism,
	"tls.enabled":              func(p *properties, v string) error { return setBool(&p.tls, v) },
	"security.protocol":        setSecurityProtocol,
	"tls.ca":                   setCA,
	"ssl.ca.location":          setCA,
	"tls.cert":                 func(p *properties, v string) error { p.tls, p.tlsCert = true, v; return nil },
	"tls.key":                  func(p *properties, v string) error { p.tls, p.tlsKey = true, v; return nil },
	"tls.insecure_skip_verify": func(p *properties, v string) error { p.tls = true; return setBool(&p.tlsInsecure, v) },
	"enable.ssl.certificate.verification": func(p *properties, v string) error {
		var verify bool
		err := setBool(&verify, v)
		p.tlsInsecure = !verify
		return err
	},
	"client.id": func(p *properties, v string) error { p.clientID = v; return nil },
}

func setBrokers(p *properties, v string) error { p.brokers = strings.Split(v, ","); return nil }
func setUser(p *properties, v string) error    { p.user = v; return nil }
func setPass(p *properties, v string) error    { p.pass = v; return nil }
func setCA(p *properties, v string) error      { p.tls, p.tlsCA = true, v; return nil }

func setBool(to *bool, v string) (err error) {
	if *to, err = strconv.ParseBool(v); err != nil {
		err = fmt.Errorf("%q is neither true nor false", v)
	}
	return err
}

func setMechanism(p *properties, v string) error {
	p.mechanism = strings.ToUpper(v)
	switch p.mechanism {
	case "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
		return nil
	}
	return fmt.Errorf("%q is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", v)
}

func setSecurityProtocol(p *properties, v string) error {
	switch strings.ToUpper(v) {
	case "PLAINTEXT", "SASL_PLAINTEXT":
		p.tls = false
	case "SSL", "SASL_SSL":
		p.tls = true
	default:
		return fmt.Errorf("%q is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL", v)
	}
	return nil
}

// set applies one -X flag.
func (p *properties) set(kv keyValue) error {
	setter, ok := propertySetters[kv.key]
	if !ok {
		known := make([]string, 0, len(propertySetters))
		for k := range propertySetters {
			known = append(known, k)
		}
		sort.Slice(known, func(i, j int) bool {
			return editDistance(known[i], kv.key) < editDistance(known[j], kv.key)
		})
		return usagef("-X %s: unknown property; did you mean %s? `rafka topic --help` lists them", kv.key, known[0])
	}
	if err := setter(p, kv.value); err != nil {
		return usagef("-X %s: %w", kv.key, err)
	}
	return nil
}

// options are the client's options for these properties.
func (p *properties) options() ([]kgo.Opt, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(p.brokers...), kgo.ClientID(p.clientID)}
	if p.user != "" || p.mechanism != "" {
		switch p.mechanism {
		case "", "SCRAM-SHA-256": // rpk's default as well
			opts = append(opts, kgo.SASL(scram.Auth{User: p.user, Pass: p.pass}.AsSha256Mechanism()))
		case "SCRAM-SHA-512":
			opts = append(opts, kgo.SASL(scram.Auth{User: p.user, Pass: p.pass}.AsSha512Mechanism()))
		case "PLAIN":
			opts = append(opts, kgo.SASL(plain.Auth{User: p.user, Pass: p.pass}.AsMechanism()))
		}
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if !p.tls {
		return append(opts, kgo.Dialer(dialer.DialContext)), nil
	}
	conf, err := p.tlsConfig()
	if err != nil {
		return nil, err
	}
	return append(opts, kgo.DialTLSConfig(conf), kgo.DialTimeout(dialer.Timeout)), nil
}

func (p *properties) tlsConfig() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: p.tlsInsecure}
	if p.tlsCA != "" {
		pem, err := os.ReadFile(p.tlsCA)
		if err != nil {
			return nil, fmt.Errorf("-X tls.ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("-X tls.ca: %s holds no PEM certificate", p.tlsCA)
		}
	}
	if p.tlsCert != "" || p.tlsKey != "" {
		pair, err := tls.LoadX509KeyPair(p.tlsCert, p.tlsKey)
		if err != nil {
			return nil, fmt.Errorf("-X tls.cert, tls.key: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}
