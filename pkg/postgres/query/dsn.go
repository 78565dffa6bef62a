package query

import (
	"errors"
	"net/url"
	"strings"
)

// ErrDSN is a connection string that can't be read; the text of it may hold a password and is not in the error.
var ErrDSN = errors.New("not a connection string of libpq: write keyword=value pairs or postgresql://user@host:port/database")

// ParseDSN reads a connection string in either form of libpq. Source: PostgreSQL 17, 32.1.1.
func ParseDSN(text string) (map[string]string, error) {
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if strings.HasPrefix(text, scheme) {
			return parseURL(text)
		}
	}
	return parseKeywords(text)
}

func parseURL(text string) (map[string]string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, ErrDSN
	}
	found := map[string]string{}
	set := func(key, value string) {
		if value != "" {
			found[key] = value
		}
	}
	password, _ := u.User.Password()
	set("user", u.User.Username())
	set("password", password)
	set("host", u.Hostname())
	set("port", u.Port())
	set("dbname", strings.TrimPrefix(u.Path, "/"))
	for key, values := range u.Query() {
		set(key, values[len(values)-1]) // as libpq does
	}
	return found, nil
}

// space is what parts keywords and values, as in C.
const space = " \t\n\v\f\r"

// parseKeywords reads keyword = value pairs; a value may be in single quotes, and a backslash takes the next letter as it
// is.
func parseKeywords(text string) (map[string]string, error) {
	found := map[string]string{}
	rest := strings.TrimLeft(text, space)
	for rest != "" {
		key, after, ok := strings.Cut(rest, "=")
		if key = strings.Trim(key, space); !ok || key == "" || strings.ContainsAny(key, space+"'\\") {
			return nil, ErrDSN
		}
		value, after, ok := parseValue(strings.TrimLeft(after, space))
		if !ok {
			return nil, ErrDSN
		}
		found[key], rest = value, strings.TrimLeft(after, space)
	}
	return found, nil
}

func parseValue(text string) (value, rest string, ok bool) {
	quoted := strings.HasPrefix(text, "'")
	if quoted {
		text = text[1:]
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case quoted && c == '\'':
			return b.String(), text[i+1:], true
		case !quoted && strings.IndexByte(space, c) >= 0:
			return b.String(), text[i:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", !quoted
}
