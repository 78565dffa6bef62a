package view

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/hathi-ha/hathi/pkg/config"
)

// Query writes the rows of a query. Without columns the rows are a message instead of a result: then the table has
// makeshift titles and the machine formats are empty objects. A format that nobody knows writes nothing.
// Source: Patroni 4.1, patronictl, print_output and output_members.
func Query(columns []string, rows [][]any, f Format, delimiter string) ([]byte, error) {
	switch f {
	case FormatJSON, FormatYAML:
		list := []any{}
		for _, row := range rows {
			o := Object{}
			for i, name := range columns {
				o = append(o, Pair{name, plainValue(row[i])})
			}
			list = append(list, o)
		}
		if f == FormatJSON {
			return JSON(list), nil
		}
		return append(YAML(list), '\n'), nil
	case FormatTSV, FormatPretty:
	default:
		return nil, nil
	}
	t := Table{}
	for i := 0; columns == nil && len(rows) > 0 && i < len(rows[0]); i++ {
		t.Columns = append(t.Columns, Column{Title: "Field " + strconv.Itoa(i+1)})
	}
	for _, name := range columns {
		t.Columns = append(t.Columns, Column{Title: name})
	}
	for _, row := range rows {
		var cells []string
		for _, v := range row {
			cells = append(cells, pythonText(v))
		}
		t.Rows = append(t.Rows, cells)
	}
	if f == FormatPretty {
		return t.Render()
	}
	return t.separated(delimiter, columns != nil), nil
}

// plainValue opens up JSON so that it is written as part of the document.
func plainValue(v any) any {
	switch x := v.(type) {
	case json.RawMessage:
		if n, err := config.ParseJSON(x); err == nil {
			return nodeValue(n)
		}
		return string(x)
	case float64:
		if s := float(x); strings.HasPrefix(s, ".") { // no number in JSON
			return strconv.FormatFloat(x, 'g', -1, 64)
		}
	}
	return v
}

// nodeValue keeps the order of the keys, unlike config.Node.Value.
func nodeValue(n *config.Node) any {
	switch n.Kind {
	case config.Map:
		o := Object{}
		for _, e := range n.Entries {
			o = append(o, Pair{e.Key, nodeValue(e.Value)})
		}
		return o
	case config.List:
		list := []any{}
		for _, e := range n.Items {
			list = append(list, nodeValue(e))
		}
		return list
	}
	return n.Value()
}

// pythonText is how Python's str shows a value; scripts read None, True and ['a', 'b'].
func pythonText(v any) string {
	if s, ok := plainValue(v).(string); ok {
		return s
	}
	return pythonRepr(plainValue(v))
}

func pythonRepr(v any) string {
	if o, ok := pairs(v); ok {
		var parts []string
		for _, p := range o {
			parts = append(parts, pythonQuote(p.Key)+": "+pythonRepr(p.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	if s, ok := number(v); ok {
		return s
	}
	switch x := v.(type) {
	case nil:
		return "None"
	case bool:
		return map[bool]string{true: "True", false: "False"}[x]
	case []any:
		var parts []string
		for _, e := range x {
			parts = append(parts, pythonRepr(e))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return pythonQuote(fmt.Sprint(v))
}

func pythonQuote(s string) string {
	quote := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = `"`
	}
	s = strings.NewReplacer(`\`, `\\`, quote, `\`+quote, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(s)
	return quote + s + quote
}
