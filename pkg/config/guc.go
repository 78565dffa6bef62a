package config

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// unitsOf are the units that a number may carry, as multiples of the smallest, from small to large.
// Source: PostgreSQL 17, 19.1.1, Parameter Names and Values.
var (
	memoryUnits = []gucUnit{{"B", 1}, {"kB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"TB", 1 << 40}}
	timeUnits   = []gucUnit{{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"min", 60e6}, {"h", 3600e6}, {"d", 86400e6}}
)

type gucUnit struct {
	name string
	size float64
}

func findUnit(units []gucUnit, name string) (index int, size float64, ok bool) {
	for i, u := range units {
		if u.name == name {
			return i, u.size, true
		}
	}
	return 0, 0, false
}

var baseUnit = regexp.MustCompile(`^(\d*)([A-Za-z]+)$`)

// unitFamily finds the units that go with a base unit such as 8kB, ms or s, and the base's own size.
func unitFamily(base string) (units []gucUnit, size float64, ok bool) {
	m := baseUnit.FindStringSubmatch(base)
	if m == nil {
		return nil, 0, false
	}
	factor := 1.0
	if m[1] != "" {
		factor, _ = strconv.ParseFloat(m[1], 64)
	}
	for _, units := range [][]gucUnit{memoryUnits, timeUnits} {
		if _, size, ok := findUnit(units, m[2]); ok && factor > 0 {
			return units, factor * size, true
		}
	}
	return nil, 0, false
}

var (
	gucNumber  = regexp.MustCompile(`^\s*([-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?))\s*([A-Za-z]*)\s*$`)
	gucInteger = regexp.MustCompile(`^[-+]?(?:0[xX][0-9a-fA-F]+|\d+)$`)
)

// ParseGUCReal reads a number as PostgreSQL reads a setting: decimal, 0x hex or octal after a leading 0, with
// a fraction or exponent, and with a unit if the setting has a base unit (as in pg_settings.unit, such as kB,
// 8kB, ms, min; empty for none). Units are case-sensitive. The result counts base units.
// Source: PostgreSQL 17, guc.c, parse_real and convert_to_base_unit.
func ParseGUCReal(text, base string) (value float64, ok bool) {
	m := gucNumber.FindStringSubmatch(text)
	if m == nil || len(text) > 100 {
		return 0, false
	}
	if gucInteger.MatchString(m[1]) {
		digits := strings.TrimLeft(m[1], "+-")
		if n, err := strconv.ParseUint(digits, 0, 64); err == nil && !strings.Contains(digits, "o") {
			value = float64(n)
		} else {
			return 0, false
		}
		if m[1][0] == '-' {
			value = -value
		}
	} else {
		f, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, false
		}
		value = f
	}
	if m[2] == "" {
		return value, true
	}
	units, size, ok := unitFamily(base)
	if !ok {
		return 0, false
	}
	i, unit, ok := findUnit(units, m[2])
	if !ok {
		return 0, false
	}
	if i > 0 && value != math.Trunc(value) { // a fraction is rounded to the next smaller unit first
		smaller := units[i-1].size
		return math.RoundToEven(value*unit/smaller) * smaller / size, true
	}
	return value * unit / size, true
}

// ParseGUC is ParseGUCReal for settings that are whole numbers: the result is rounded, half to even. It is
// false for what is no number or exceeds an int64.
func ParseGUC(text, base string) (value int64, ok bool) {
	f, ok := ParseGUCReal(text, base)
	f = math.RoundToEven(f)
	if !ok || math.Abs(f) >= 1<<63 {
		return 0, false
	}
	return int64(f), true
}

// EqualGUC reports whether two texts mean the same value of a setting with this base unit: 1GB and 1024MB, 60s
// and 1min. Texts that are not numbers are compared as they are.
func EqualGUC(a, b, base string) bool {
	x, okX := ParseGUCReal(a, base)
	y, okY := ParseGUCReal(b, base)
	if okX && okY {
		return x == y
	}
	return a == b
}
