package view

import (
	"bytes"
	"encoding/json"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Document writes the dynamic configuration as YAML and an empty line, or as JSON; nothing if there is none, {} if it
// is not JSON.
func Document(doc cluster.Document, f Format) []byte {
	if !doc.Present {
		return nil
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(doc.Raw))
	dec.UseNumber()
	if dec.Decode(&v) != nil {
		v = map[string]any{}
	}
	if f == FormatJSON {
		return JSON(v)
	}
	return append(YAML(v), '\n')
}
