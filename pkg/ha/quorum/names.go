package quorum

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Nobody is a standby that can't exist: PostgreSQL replaces control characters in application_name, so no
// connection can have this one. Naming it blocks commits until a real standby is named, where Patroni's *
// would let anything acknowledge that streams.
const Nobody = "no synchronous standby\t"

// Names is a setting of synchronous_standby_names. The zero value is the empty setting: commits wait for
// nobody.
type Names struct {
	Required int
	Standbys []string // sorted
	// Any: any Required of them; false: the first Required that are connected, in their order. It makes no
	// difference if all are required.
	Any bool
}

// Blocked is the setting with which no commit is acknowledged.
func Blocked() Names { return Names{Required: 1, Standbys: []string{Nobody}} }

// Has reports whether a standby is named.
func (n Names) Has(name string) bool { return has(n.Standbys, name) }

// Equal reports whether two settings mean the same.
func (n Names) Equal(m Names) bool {
	if n.Required != m.Required || !sameSet(n.Standbys, m.Standbys) {
		return false
	}
	return n.Any == m.Any || n.Required == len(n.Standbys)
}

// Text gives the setting as PostgreSQL reads it. Source: PostgreSQL 17, 19.6.2.
func (n Names) Text() string {
	quoted := make([]string, len(n.Standbys))
	for i, name := range n.Standbys {
		quoted[i] = quote(name)
	}
	list := strings.Join(quoted, ",")
	switch {
	case len(n.Standbys) == 0:
		return ""
	case n.Any:
		return fmt.Sprintf("ANY %d (%s)", n.Required, list)
	case len(n.Standbys) == 1:
		return list
	}
	return fmt.Sprintf("%d (%s)", n.Required, list)
}

func quote(name string) string {
	plain := name != ""
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		plain = plain && (letter || i > 0 && (r == '$' || r >= '0' && r <= '9'))
	}
	if plain && !strings.EqualFold(name, "first") && !strings.EqualFold(name, "any") {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// Parse reads a setting that PostgreSQL has accepted. A * is the name of a standby that no member has: it
// lets strangers acknowledge, so nothing may be built on it. False: the text can't be read.
func Parse(text string) (Names, bool) {
	words, ok := split(text)
	if !ok || len(words) == 0 {
		return Names{}, ok
	}
	n := Names{Required: 1}
	switch {
	case words[0].is("any"), words[0].is("first"):
		n.Any = words[0].is("any")
		words = words[1:]
	}
	if len(words) > 1 && words[1].is("(") {
		count, err := strconv.Atoi(words[0].text)
		if err != nil || !words[len(words)-1].is(")") {
			return Names{}, false
		}
		n.Required, words = count, words[2:len(words)-1]
	}
	for i, w := range words {
		if i%2 == 1 {
			if !w.is(",") {
				return Names{}, false
			}
			continue
		}
		n.Standbys = append(n.Standbys, w.text)
	}
	slices.Sort(n.Standbys)
	return n, len(words)%2 == 1 && n.Required > 0
}

type word struct {
	text   string
	quoted bool
}

func (w word) is(text string) bool { return !w.quoted && strings.EqualFold(w.text, text) }

// split cuts a setting into names, numbers and signs.
func split(text string) (words []word, ok bool) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		switch c := text[0]; {
		case c == '(' || c == ')' || c == ',':
			words, text = append(words, word{text: text[:1]}), text[1:]
		case c == '"':
			name, rest, ok := quoted(text[1:])
			if !ok {
				return nil, false
			}
			words, text = append(words, word{name, true}), rest
		default:
			end := strings.IndexAny(text, "(), \t\r\n\"")
			if end < 0 {
				end = len(text)
			}
			words, text = append(words, word{text: text[:end]}), text[end:]
		}
	}
	return words, true
}

// quoted reads the rest of a name in quotes.
func quoted(text string) (name, rest string, ok bool) {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '"':
		case i+1 < len(text) && text[i+1] == '"':
			i++
		default:
			return strings.ReplaceAll(text[:i], `""`, `"`), text[i+1:], true
		}
	}
	return "", "", false
}
