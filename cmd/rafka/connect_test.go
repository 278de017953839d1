package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

func TestLoginByEachMechanism(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		s := newShell(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "ann", "secret"))
		login := " -X user=ann -X sasl.mechanism=" + mechanism
		s.must("topic create t" + login + " -X pass=secret")
		if _, errs, code := s.try(nil, "topic list"+login+" -X pass=wrong"); code != 1 || !strings.Contains(errs, "check -X user=, -X pass=") {
			t.Errorf("%s, wrong password: exit code %d, %s", mechanism, code, errs)
		}
		s.env["RAFKA_PASS"] = "secret"
		s.must("topic list" + login)
		if _, errs, code := s.try(nil, "topic list --timeout 2s"); code != 1 || !strings.Contains(errs, "or a login (-X user=") {
			t.Errorf("no login: exit code %d, %s", code, errs)
		}
	}
}

func TestTLSVerifiesTheBroker(t *testing.T) {
	// The test server of net/http brings a certificate for 127.0.0.1.
	web := httptest.NewTLSServer(http.NotFoundHandler())
	defer web.Close()
	s := newShell(t, kfake.TLS(web.TLS.Clone()))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}))
	s.must("topic list -X tls.ca=" + ca)
	s.must("topic list -X tls.insecure_skip_verify=true")
	s.must("topic list -X security.protocol=SSL -X ssl.ca.location=" + ca)
	for args, want := range map[string]string{
		"-X tls.enabled=true": "name the authority that signed",
		"--timeout 2s":        "it may want TLS (-X tls.enabled=true)",
	} {
		if _, errs, code := s.try(nil, "topic list "+args); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d, %s", args, code, errs)
		}
	}
	plain := newShell(t)
	if _, errs, code := plain.try(nil, "topic list -X tls.enabled=true --timeout 2s"); code != 1 || errs == "" {
		t.Errorf("TLS to a plain port: exit code %d, %s", code, errs)
	} else {
		t.Log(errs)
	}
}
