package engine

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestACertificateIsBelievedByTheAuthoritiesOfTheCredentials(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	file := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for _, tc := range []struct{ name, mode, authorities, refusal string }{
		{"known", "verify", file("ca.crt", authority), ""},
		{"unknown", "verify", "", "certificate signed by unknown authority"},
		{"not asked", "insecureSkipVerify", "", ""},
		{"no certificate", "verify", file("ca.crt", []byte("x")), "ca.crt holds no certificate in PEM"},
		{"not there", "verify", filepath.Join(t.TempDir(), "ca.crt"), "failed to read the authorities of the credentials"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			secured, err := tlsConfig(Target{Host: "127.0.0.1", TLS: tc.mode, Authorities: tc.authorities})
			if err == nil {
				var conn *tls.Conn
				if conn, err = tls.Dial("tcp", server.Listener.Addr().String(), secured); err == nil {
					err = conn.Close()
				}
			}
			if tc.refusal == "" && err != nil || tc.refusal != "" && (err == nil || !strings.Contains(err.Error(), tc.refusal)) {
				t.Errorf("got %v, want %q", err, tc.refusal)
			}
		})
	}
}
