package keypair

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
)

// An encrypted key of PKCS#8. Source: RFC 5958, section 3; RFC 8018, appendix A.
type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2 struct{ Derivation, Encryption pkix.AlgorithmIdentifier }

type derivation struct {
	Salt       []byte
	Iterations int
	Length     int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
)

// hashes are those of the HMAC that a password is stretched with, by object identifier.
var hashes = map[string]func() hash.Hash{
	"": sha1.New, "1.2.840.113549.2.7": sha1.New, "1.2.840.113549.2.8": sha256.New224, "1.2.840.113549.2.9": sha256.New,
	"1.2.840.113549.2.10": sha512.New384, "1.2.840.113549.2.11": sha512.New,
}

// ciphers are those of the key, all with chained blocks, by object identifier.
var ciphers = map[string]struct {
	length int
	make   func([]byte) (cipher.Block, error)
}{
	"2.16.840.1.101.3.4.1.2": {16, aes.NewCipher}, "2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher}, "1.2.840.113549.3.7": {24, des.NewTripleDESCipher},
}

// maxIterations bounds the time that a file can cost; OpenSSL writes 2,048 by default.
const maxIterations = 10_000_000

// unsupported names what can't be read, and what can.
func unsupported(what string) error {
	return fmt.Errorf("the key is encrypted with %s, which is not supported; write it anew with `openssl pkcs8 -topk8 -v2 aes-256-cbc`", what)
}

func decryptPKCS8(der, password []byte) ([]byte, error) {
	var key encryptedKey
	var scheme pbes2
	var d derivation
	if err := parse(der, &key); err != nil {
		return nil, err
	}
	if !key.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, unsupported("scheme " + key.Algorithm.Algorithm.String())
	}
	if err := parse(key.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil, err
	}
	if !scheme.Derivation.Algorithm.Equal(oidPBKDF2) {
		return nil, unsupported("key derivation " + scheme.Derivation.Algorithm.String())
	}
	if err := parse(scheme.Derivation.Parameters.FullBytes, &d); err != nil {
		return nil, err
	}
	newHash, known := hashes[d.PRF.Algorithm.String()]
	if !known {
		return nil, unsupported("HMAC " + d.PRF.Algorithm.String())
	}
	suite, known := ciphers[scheme.Encryption.Algorithm.String()]
	if !known {
		return nil, unsupported("cipher " + scheme.Encryption.Algorithm.String())
	}
	if d.Iterations < 1 || d.Iterations > maxIterations {
		return nil, unsupported(fmt.Sprintf("%d iterations", d.Iterations))
	}
	stretched, err := pbkdf2.Key(newHash, string(password), d.Salt, d.Iterations, suite.length)
	if err != nil {
		return nil, fmt.Errorf("stretch the password: %w", err)
	}
	block, err := suite.make(stretched)
	if err != nil {
		return nil, fmt.Errorf("decrypt the key: %w", err)
	}
	var start []byte
	if err := parse(scheme.Encryption.Parameters.FullBytes, &start); err != nil {
		return nil, err
	}
	return decryptBlocks(block, start, key.Data)
}

// decryptBlocks decrypts chained blocks and takes the padding off, which tells a wrong password nearly always; what is
// left of those is no key.
func decryptBlocks(block cipher.Block, start, data []byte) ([]byte, error) {
	size := block.BlockSize()
	if len(start) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errors.New("the encrypted key is damaged")
	}
	clear := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, start).CryptBlocks(clear, data)
	padding := int(clear[len(clear)-1])
	if padding < 1 || padding > size {
		return nil, ErrWrongPassword
	}
	clear = clear[:len(clear)-padding]
	if !isSequence(clear) {
		return nil, ErrWrongPassword
	}
	return clear, nil
}

func parse(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err == nil && len(rest) > 0 {
		err = errors.New("there is more behind it")
	}
	if err != nil {
		return fmt.Errorf("the encrypted key can't be read: %w", err)
	}
	return nil
}
