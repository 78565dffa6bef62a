package query

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
)

func TestConvert(t *testing.T) {
	for _, c := range []struct {
		oid  uint32
		text string
		want any
	}{
		{pgtype.BoolOID, "t", true},
		{pgtype.BoolOID, "f", false},
		{pgtype.Int8OID, "-5", json.Number("-5")},
		{pgtype.Float8OID, "2", 2.0},
		{pgtype.NumericOID, "2.50", "2.50"},
		{pgtype.TimestamptzOID, "2026-11-23 02:09:03.317461+00", "2026-11-23 02:09:03.317461+00:00"},
		{pgtype.TimestamptzOID, "2026-11-23 02:09:03+05:30", "2026-11-23 02:09:03+05:30"},
		{pgtype.TimestamptzOID, "infinity", "infinity"},
		{pgtype.TimestampOID, "2026-11-23 02:09:03", "2026-11-23 02:09:03"},
		{pgtype.DateOID, "2026-11-23", "2026-11-23"},
		{pgtype.JSONBOID, `{"b": 1, "a": 2}`, json.RawMessage(`{"b": 1, "a": 2}`)},
		{pgtype.Int4ArrayOID, "{1,NULL,3}", []any{json.Number("1"), nil, json.Number("3")}},
		{pgtype.Int4ArrayOID, "{}", []any{}},
		{pgtype.Int4ArrayOID, "{{1,2},{3,4}}", []any{[]any{json.Number("1"), json.Number("2")}, []any{json.Number("3"), json.Number("4")}}},
		{pgtype.TextArrayOID, `{a,"b c","NULL","q\"x\\y",""}`, []any{"a", "b c", "NULL", `q"x\y`, ""}},
		{pgtype.BoolArrayOID, "{t,f}", []any{true, false}},
		{pgtype.Int4ArrayOID, "[0:1]={1,2}", "[0:1]={1,2}"}, // bounds of its own: left as it is
		{pgtype.Int4ArrayOID, "{1", "{1"},
		{pgtype.TextArrayOID, `{"a`, `{"a`},
	} {
		if got := convert(c.oid, c.text); !reflect.DeepEqual(got, c.want) {
			t.Errorf("convert(%d, %q) = %#v, want %#v", c.oid, c.text, got, c.want)
		}
	}
}
