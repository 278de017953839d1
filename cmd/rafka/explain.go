package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// explainConnect says why no broker could be reached and what to do about it.
func explainConnect(ctx context.Context, p *properties, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return fmt.Errorf("connect to %s: %w: %s", strings.Join(p.brokers, ", "), shorten(err), connectAdvice(p, err))
}

func connectAdvice(p *properties, err error) string {
	var dns *net.DNSError
	var eof *kgo.ErrFirstReadEOF
	var unknownCA x509.UnknownAuthorityError
	var wrongHost x509.HostnameError
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &dns):
		return "the name does not resolve from this machine; check --brokers"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "is rafka running? start it with `rafka`, or name another address with --brokers"
	case errors.As(err, &unknownCA), errors.As(err, &wrongHost):
		return "name the authority that signed the broker's certificate with -X tls.ca=FILE"
	case errors.As(err, &notTLS):
		return "the broker does not speak TLS on this port; leave out -X tls.enabled=true or use its TLS port"
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return "check -X user=, -X pass= and -X sasl.mechanism="
	case p.user != "" && errors.Is(err, io.EOF):
		return "the broker closed the connection during the login; check -X user=, -X pass= and -X sasl.mechanism="
	case errors.As(err, &eof) && !p.tls:
		return "the broker closed the connection; it may want TLS (-X tls.enabled=true) or a login (-X user=, -X pass=)"
	case errors.As(err, &eof), errors.Is(err, io.EOF), errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "the broker closed the connection; check the port, and -X sasl.mechanism= if it wants a login"
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return "no answer in time; check the address and firewalls, or raise --timeout"
	}
	return "check --brokers; `rafka doctor` looks closer"
}

// shorten cuts "unable to dial: dial tcp 127.0.0.1:9092: connect: connection refused" down to its reason:
// the addresses stand before it already.
func shorten(err error) error {
	var op *net.OpError
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return errno
	case errors.As(err, &op):
		return op.Err
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("time-out")
	}
	return err
}

// explain adds to an error of a request what the user can do about it.
func explain(err error) error {
	var shards *kadm.ShardErrors
	if errors.As(err, &shards) && len(shards.Errs) > 0 {
		err = shards.Errs[0].Err
	}
	var op *net.OpError
	var worded *protocolError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &worded): // said already, with what it was about
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &op) && op.Timeout():
		return fmt.Errorf("no answer in time: raise --timeout, or look with `rafka doctor`: %w", err)
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("%w: the cluster says that a broker is there, but it cannot be reached from here: it has died (`rafka cluster health`), or its advertised.listeners is not for this machine (`rafka doctor`)", err)
	}
	return describe(err, "")
}

// describe words an error code of the protocol: name, the broker's message if it sent one, and advice where there is some.
func describe(err error, message string) error {
	var k *kerr.Error
	if !errors.As(err, &k) {
		return err
	}
	if message == "" {
		message = strings.TrimSuffix(k.Description, ".")
	}
	switch k {
	case kerr.UnknownTopicOrPartition:
		message += "; `rafka topic list` shows what there is, `rafka topic create` makes one"
	case kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed:
		message += "; the user needs an ACL for this, or log in as another with -X user="
	case kerr.UnsupportedVersion:
		message += "; this broker is too old for the request"
	}
	return &protocolError{k, message}
}

// protocolError keeps the code for errors.Is and shows the broker's own words.
type protocolError struct {
	code    *kerr.Error
	message string
}

func (e *protocolError) Error() string { return e.code.Message + ": " + e.message }
func (e *protocolError) Unwrap() error { return e.code }

// describedText is describe for a table: "" when there is no error.
func describedText(err error, message string) string {
	if err == nil {
		return ""
	}
	return describe(err, message).Error()
}
