// Package keypair reads a certificate with its key from PEM files, keys that are encrypted with a password too:
// PKCS#8, as `openssl genpkey -aes256` writes it, and the older form with a DEK-Info header. And it verifies the
// certificates that others show.
package keypair

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
)

// What keeps an encrypted key shut.
var (
	ErrNoPassword    = errors.New("the key is encrypted and no password is given (keyfile_password)")
	ErrWrongPassword = errors.New("the key can't be decrypted: the password (keyfile_password) is wrong, or the file is damaged")
)

// Load reads a certificate, with its chain, and its key, which is in certFile too if keyFile is empty. The password is
// for an encrypted key and is ignored by any other. Errors name the files, never the password.
func Load(certFile, keyFile, password string) (tls.Certificate, error) {
	if keyFile == "" {
		keyFile = certFile
	}
	pair, err := load(certFile, keyFile, password)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return pair, nil
}

func load(certFile, keyFile, password string) (tls.Certificate, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	if key, err = decrypted(key, password); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// decrypted gives PEM text with its first key in the clear; other blocks are left out where that key was encrypted.
func decrypted(text []byte, password string) ([]byte, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return text, nil
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		old := block.Headers["DEK-Info"] != ""
		if !old && block.Type != "ENCRYPTED PRIVATE KEY" {
			return text, nil
		}
		if password == "" {
			return nil, ErrNoPassword
		}
		clear := &pem.Block{Type: "PRIVATE KEY"}
		var err error
		if old {
			clear.Type = block.Type
			//lint:ignore SA1019 users have such files; that the form is weak is theirs to judge
			if clear.Bytes, err = x509.DecryptPEMBlock(block, []byte(password)); errors.Is(err, x509.IncorrectPasswordError) || err == nil && !isSequence(clear.Bytes) {
				err = ErrWrongPassword
			}
		} else {
			clear.Bytes, err = decryptPKCS8(block.Bytes, []byte(password))
		}
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(clear), nil
	}
}

// isSequence reports whether this is what all keys are. The padding of the old form is right for one wrong password
// in 256.
func isSequence(der []byte) bool {
	var v asn1.RawValue
	rest, err := asn1.Unmarshal(der, &v)
	return err == nil && len(rest) == 0 && v.Tag == asn1.TagSequence
}
