package config

import (
	"os"
	"path/filepath"
	"testing"
)

// Commands ask the node's own REST API while etcd is away, and mind nothing that is wrong with it.
func TestOwnAddress(t *testing.T) {
	for restapi, want := range map[string]string{
		"{listen: '0.0.0.0:8008', connect_address: '10.0.0.1:8009'}": "10.0.0.1:8009",
		"{listen: '*:8008'}":                 "localhost:8008",
		"{listen: ':8008'}":                  "localhost:8008",
		"{connect_address: 'no port'}":       "",
		"{connect_address: [1, 2]}":          "",
		"{}":                                 "",
		"{listen: '[::1]:8008', keyfile: x}": "[::1]:8008",
	} {
		path := filepath.Join(t.TempDir(), "c.yml")
		if err := os.WriteFile(path, []byte("scope: demo\nname: n\netcd3: {host: 'localhost:2379'}\nrestapi: "+restapi+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, _, err := LoadControl(path, nil)
		if err != nil {
			t.Errorf("%s: %v", restapi, err)
			continue
		}
		if got := cfg.RestAPI.ConnectAddress.String(); got != want {
			t.Errorf("%s: %q, want %q", restapi, got, want)
		}
	}
}
