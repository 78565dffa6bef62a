package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// tlsConfig reads the files that the options name. The client's certificate is read again for each
// connection, so that a renewed one is used without a restart.
func (o *Options) tlsConfig() (*tls.Config, error) {
	// Source: Patroni 4.1: a server is verified only if cacert is set.
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.CACert == ""} //nolint:gosec // documented
	if o.CACert != "" {
		pem, err := os.ReadFile(o.CACert)
		if err != nil {
			return nil, fmt.Errorf("etcd: read cacert: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("etcd: cacert %s holds no certificate in PEM form", o.CACert)
		}
	}
	if o.Cert == "" {
		return cfg, nil
	}
	key := o.Key
	if key == "" {
		key = o.Cert
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(o.Cert, key)
		if err != nil {
			return nil, fmt.Errorf("etcd: read cert %s and key %s: %w", o.Cert, key, err)
		}
		return &pair, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return cfg, nil
}
