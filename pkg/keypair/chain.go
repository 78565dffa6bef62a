package keypair

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// VerifyChain verifies the certificates of a server but not its name, for [tls.Config.VerifyConnection], as Patroni's
// members and patronictl do.
func VerifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the server has sent no certificate")
		}
		between := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
}
