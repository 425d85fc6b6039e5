package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A throwaway cluster outlives no session, but clocks of virtual machines jump: certificates start an hour early and last a year.
const (
	startsEarly = time.Hour
	lasts       = 365 * 24 * time.Hour
)

// authority is the cluster's only certificate authority: it signs servers and clients alike.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// client is one kubeconfig: whom the certificate names, and the groups that grant its rights.
type client struct {
	file   string
	user   string
	groups []string
}

// writePKI makes a fresh authority, one certificate per program, the service-account key and the kubeconfig files.
//
//	kubernetes pki DIR SERVER-URL NODE-NAME SUBJECT-NAME-OR-ADDRESS…
func writePKI(args []string) error {
	if len(args) < 4 {
		return errors.New("usage: pki DIR SERVER-URL NODE-NAME SUBJECT-NAME-OR-ADDRESS…")
	}
	dir, server, node, names := args[0], args[1], args[2], args[3:]
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ca, err := newAuthority(dir)
	if err != nil {
		return fmt.Errorf("failed to make the certificate authority: %w", err)
	}
	if err := writeServiceAccountKey(dir); err != nil {
		return fmt.Errorf("failed to make the service account key: %w", err)
	}
	if err := ca.issue("apiserver", subject("kube-apiserver"), names, x509.ExtKeyUsageServerAuth); err != nil {
		return err
	}
	if err := ca.issue("kubelet-server", subject("system:node:"+node, "system:nodes"), names, x509.ExtKeyUsageServerAuth); err != nil {
		return err
	}
	// The API server shows this one to the kubelet for logs, exec and port-forward.
	if err := ca.issue("apiserver-kubelet-client", subject("kube-apiserver", "system:masters"), nil, x509.ExtKeyUsageClientAuth); err != nil {
		return err
	}
	clients := []client{
		{file: "admin", user: "crucible-admin", groups: []string{"system:masters"}},
		{file: "controller-manager", user: "system:kube-controller-manager"},
		{file: "scheduler", user: "system:kube-scheduler"},
		{file: "kube-proxy", user: "system:kube-proxy"},
		{file: "kubelet", user: "system:node:" + node, groups: []string{"system:nodes"}},
	}
	for _, c := range clients {
		if err := ca.writeKubeconfig(c, server); err != nil {
			return fmt.Errorf("failed to write the kubeconfig of %s: %w", c.user, err)
		}
	}
	return nil
}

func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := template(subject("crucible-cluster-ca"))
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	ca := &authority{dir: dir, cert: cert, key: key}
	if err := writePEM(ca.path("ca.crt"), "CERTIFICATE", der); err != nil {
		return nil, err
	}
	return ca, writeKey(ca.path("ca.key"), key)
}

func (ca *authority) path(name string) string {
	return filepath.Join(ca.dir, name)
}

// issue writes NAME.crt and NAME.key.
func (ca *authority) issue(name string, who pkix.Name, hosts []string, usage x509.ExtKeyUsage) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("failed to make the key of %s: %w", name, err)
	}
	template, err := template(who)
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{usage}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return fmt.Errorf("failed to sign the certificate of %s: %w", name, err)
	}
	if err := writePEM(ca.path(name+".crt"), "CERTIFICATE", der); err != nil {
		return err
	}
	return writeKey(ca.path(name+".key"), key)
}

// writeKubeconfig writes FILE.kubeconfig with the credentials inside, so that the one file can be copied about.
func (ca *authority) writeKubeconfig(c client, server string) error {
	if err := ca.issue(c.file, subject(c.user, c.groups...), nil, x509.ExtKeyUsageClientAuth); err != nil {
		return err
	}
	var data [3]string
	for i, name := range []string{"ca.crt", c.file + ".crt", c.file + ".key"} {
		content, err := os.ReadFile(ca.path(name))
		if err != nil {
			return err
		}
		data[i] = base64.StdEncoding.EncodeToString(content)
	}
	lines := []string{
		"apiVersion: v1",
		"kind: Config",
		"clusters:",
		"  - name: crucible",
		"    cluster: {server: '" + server + "', certificate-authority-data: " + data[0] + "}",
		"users:",
		"  - name: " + c.file,
		"    user: {client-certificate-data: " + data[1] + ", client-key-data: " + data[2] + "}",
		"contexts:",
		"  - name: crucible",
		"    context: {cluster: crucible, user: " + c.file + "}",
		"current-context: crucible",
		"",
	}
	return os.WriteFile(ca.path(c.file+".kubeconfig"), []byte(strings.Join(lines, "\n")), 0o600)
}

func writeServiceAccountKey(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(dir, "service-account.pub"), "PUBLIC KEY", public); err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, "service-account.key"), key)
}

func subject(commonName string, organizations ...string) pkix.Name {
	return pkix.Name{CommonName: commonName, Organization: organizations}
}

func template(who pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{SerialNumber: serial, Subject: who, NotBefore: now.Add(-startsEarly), NotAfter: now.Add(lasts)}, nil
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
