package query

import (
	"fmt"
	"testing"
)

func TestParseDSN(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "map[]",
		"host=db1 port = 5433 user=a":         "map[host:db1 port:5433 user:a]",
		`password='it\'s' dbname='a b'`:       "map[dbname:a b password:it's]",
		`user=a\ b sslmode=require`:           "map[sslmode:require user:a b]",
		"postgresql://a:p%40@[::1]:6/x?ssl=y": "map[dbname:x host:::1 password:p@ port:6 ssl:y user:a]",
		"host=a\r\nhost = b":                  "map[host:b]",
		"postgres://a/?host=b&host=c":         "map[host:c]",
		"postgres:///x?host=/run":             "map[dbname:x host:/run]",
	} {
		got, err := ParseDSN(text)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"db1", "host", "user='a", "=x", "a b=c", "postgres://a:secret@h:x/"} {
		if got, err := ParseDSN(text); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}
