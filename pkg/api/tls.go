package api

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/hathi-ha/hathi/pkg/keypair"
)

// TLS are the files and rules of a TLS endpoint.
type TLS struct {
	CertFile string // PEM; may hold the key and the chain
	KeyFile  string // empty: in CertFile
	// KeyPassword is for an encrypted key.
	KeyPassword string
	CAFile      string // for client certificates; empty: none is trusted
	Ciphers     string // OpenSSL names, of TLS 1.2; empty: Go's choice
	// VerifyClient is none, optional or required in any case; empty means none.
	VerifyClient string
}

func (t TLS) verifies() bool {
	return t.CertFile != "" && (strings.EqualFold(t.VerifyClient, "optional") || strings.EqualFold(t.VerifyClient, "required"))
}

// server builds the configuration of a listener; nil without a certificate.
func (t TLS) server(log *slog.Logger) (*tls.Config, error) {
	if t.CertFile == "" {
		return nil, nil
	}
	cert, err := keypair.Load(t.CertFile, t.KeyFile, t.KeyPassword)
	if err != nil {
		return nil, err
	}
	// An empty pool trusts nobody; a nil one would trust every public authority.
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, ClientCAs: x509.NewCertPool()}
	if t.CAFile != "" {
		if config.ClientCAs, err = loadPool(t.CAFile); err != nil {
			return nil, err
		}
	}
	config.CipherSuites = cipherSuites(t.Ciphers, log)
	switch strings.ToLower(t.VerifyClient) {
	case "", "none":
	case "optional":
		config.ClientAuth = tls.VerifyClientCertIfGiven
	case "required":
		config.ClientAuth = tls.RequireAndVerifyClientCert
	default:
		return nil, fmt.Errorf("restapi.verify_client %q: must be none, optional or required", t.VerifyClient)
	}
	return config, nil
}

func loadPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("load certificate authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("load certificate authorities: no certificate in %s", file)
	}
	return pool, nil
}

// opensslNames are OpenSSL's names of the suites of TLS 1.2 that Go has.
var opensslNames = map[string]uint16{
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// cipherSuites maps OpenSSL's names; nil, which is Go's choice, if none of them is known.
func cipherSuites(names string, log *slog.Logger) []uint16 {
	var suites []uint16
	for _, name := range strings.FieldsFunc(names, func(r rune) bool { return strings.ContainsRune(":, ", r) }) {
		if id, ok := opensslNames[name]; ok {
			suites = append(suites, id)
		} else {
			log.Warn("cipher of restapi.ciphers is not supported and is ignored", "cipher", name)
		}
	}
	return suites
}
