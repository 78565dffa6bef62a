package query

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// elementTypes gives the type of the elements of an array type.
var elementTypes = map[uint32]uint32{
	pgtype.BoolArrayOID: pgtype.BoolOID, pgtype.Int2ArrayOID: pgtype.Int2OID, pgtype.Int4ArrayOID: pgtype.Int4OID,
	pgtype.Int8ArrayOID: pgtype.Int8OID, pgtype.OIDArrayOID: pgtype.OIDOID, pgtype.Float4ArrayOID: pgtype.Float4OID,
	pgtype.Float8ArrayOID: pgtype.Float8OID, pgtype.TextArrayOID: pgtype.TextOID, pgtype.VarcharArrayOID: pgtype.VarcharOID,
	pgtype.NameArrayOID: pgtype.NameOID, pgtype.NumericArrayOID: pgtype.NumericOID, pgtype.UUIDArrayOID: pgtype.UUIDOID,
}

func convertRow(types []uint32, values [][]byte) []any {
	row := make([]any, len(values))
	for i, v := range values {
		if v != nil {
			row[i] = convert(types[i], string(v))
		}
	}
	return row
}

// convert makes a value of the server's text form. What has no form of its own in Go stays that text: dates,
// numeric, bytea and all else.
func convert(oid uint32, text string) any {
	if element, ok := elementTypes[oid]; ok {
		if list, rest, ok := array(element, text); ok && rest == "" {
			return list
		}
		return text
	}
	switch oid {
	case pgtype.BoolOID:
		return text == "t"
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		return json.Number(text)
	case pgtype.Float4OID, pgtype.Float8OID:
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return f
		}
	case pgtype.JSONOID, pgtype.JSONBOID:
		return json.RawMessage(text)
	case pgtype.TimestamptzOID, pgtype.TimetzOID:
		return fullZone(text)
	}
	return text
}

// fullZone writes +00 as +00:00.
func fullZone(text string) string {
	i := strings.LastIndexAny(text, "+-")
	if i > 0 && len(text)-i == 3 && strings.Contains(text, ":") {
		return text + ":00"
	}
	return text
}

// array reads the text form of an array, {1,NULL,"a b"}, with further dimensions inside. rest is what follows it.
// Source: PostgreSQL 17, 8.15.6.
func array(element uint32, text string) (list []any, rest string, ok bool) {
	list = []any{}
	rest, ok = strings.CutPrefix(text, "{")
	for ok {
		if after, done := strings.CutPrefix(rest, "}"); done && len(list) == 0 {
			return list, after, true
		}
		var v any
		switch {
		case strings.HasPrefix(rest, "{"):
			v, rest, ok = array(element, rest)
		case strings.HasPrefix(rest, `"`):
			var s string
			s, rest, ok = quotedElement(rest[1:])
			v = convert(element, s)
		default:
			end := strings.IndexAny(rest, ",}")
			if end < 0 {
				return nil, "", false
			}
			if word := rest[:end]; word != "NULL" {
				v = convert(element, word)
			}
			rest = rest[end:]
		}
		if !ok || rest == "" {
			return nil, "", false
		}
		list = append(list, v)
		if rest[0] == '}' {
			return list, rest[1:], true
		}
		rest = rest[1:] // the comma
	}
	return nil, "", false
}

func quotedElement(text string) (s, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return b.String(), text[i+1:], true
		case '\\':
			i++
			if i == len(text) {
				return "", "", false
			}
		}
		b.WriteByte(text[i])
	}
	return "", "", false
}
