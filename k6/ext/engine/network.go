// What the engines share below their protocols: connections whose bytes are counted, the three TLS modes, and what an
// error of the network means.

package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// connectTimeout bounds one attempt to connect: longer than any healthy handshake, shorter than a failover.
const connectTimeout = 3 * time.Second

// meter counts what an engine's connections have received, below TLS. Every engine has one inside.
type meter struct{ received atomic.Uint64 }

func (m *meter) Received() uint64 { return m.received.Load() }

func (m *meter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return m.dialBy(ctx, new(net.Dialer), network, address)
}

func (m *meter) dialBy(ctx context.Context, dialer *net.Dialer, network, address string) (net.Conn, error) {
	raw, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn, err := newMeteredConn(raw, m)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

func address(target Target) string {
	return net.JoinHostPort(target.Host, strconv.Itoa(int(target.Port)))
}

// tlsConfig is nil where the plan disables TLS.
func tlsConfig(target Target) (*tls.Config, error) {
	switch target.TLS {
	case "disable":
		return nil, nil
	case "verify":
		authorities, err := authorities(target.Authorities)
		if err != nil {
			return nil, err
		}
		return &tls.Config{ServerName: target.Host, MinVersion: tls.VersionTLS12, RootCAs: authorities}, nil
	case "insecureSkipVerify":
		return &tls.Config{ServerName: target.Host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}, nil //nolint:gosec // asked for by that very name in the plan, and shown in the report
	default:
		return nil, fmt.Errorf("failed to read target: tls mode %q is not verify, insecureSkipVerify or disable", target.TLS)
	}
}

// authorities are the system's with those of a file; nil, which means the system's, where there is no file.
func authorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	certificates, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("failed to read the authorities of the credentials: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(certificates) {
		return nil, errors.New("failed to read the authorities of the credentials: ca.crt holds no certificate in PEM")
	}
	return pool, nil
}

// networkFailure sorts what happened below the protocol; false when nothing did.
func networkFailure(err error) (Failure, bool) {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return Failure{Class: Connection, Code: "connect", Message: err.Error()}, true
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return Failure{Class: Connection, Code: "connect", Message: err.Error()}, true
	}
	var network net.Error
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &network) {
		return Failure{Class: Connection, Code: "lost", Message: err.Error()}, true
	}
	return Failure{}, false
}

// networkRefusal says why nobody could be talked to, where the protocol has nothing to say about it.
func networkRefusal(err error) Reason {
	// A name service that gave no answer says nothing of the name: that is tried again.
	var lookup *net.DNSError
	if errors.As(err, &lookup) && lookup.IsNotFound {
		return UnknownHost
	}
	if isTLS(err) {
		return TLSFailed
	}
	return Unreachable
}

func isTLS(err error) bool {
	var (
		record      tls.RecordHeaderError
		alert       tls.AlertError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		hostname    x509.HostnameError
	)
	return errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &certificate) || errors.As(err, &authority) || errors.As(err, &hostname)
}
