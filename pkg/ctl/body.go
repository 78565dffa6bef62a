package ctl

import (
	"encoding/json"
	"strings"
)

// body builds a JSON object in the order of the calls, with the separators that the original sends.
type body struct{ fields []string }

func (b *body) set(key string, value any) {
	k, _ := json.Marshal(key)
	v, _ := json.Marshal(value) // strings, booleans, nil: can't fail
	b.fields = append(b.fields, string(k)+": "+string(v))
}

func (b *body) String() string { return "{" + strings.Join(b.fields, ", ") + "}" }
