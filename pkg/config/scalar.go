package config

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// The forms of numbers in YAML 1.1. Source: PyYAML 6, resolver.py.
var (
	yamlInt   = regexp.MustCompile(`^[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(?::[0-5]?[0-9])+)$`)
	yamlFloat = regexp.MustCompile(`^[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*)$`)
)

// resolveScalar gives the kind and canonical text of a YAML scalar without quotes.
func resolveScalar(s string) (Kind, string) {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return Null, ""
	case "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return Bool, "true"
	case "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return Bool, "false"
	}
	if len(s) > 400 { // no number is that long
		return String, s
	}
	if yamlInt.MatchString(s) {
		if text, ok := intText(s); ok {
			return Number, text
		}
	} else if yamlFloat.MatchString(s) {
		if f, ok := floatValue(strings.ReplaceAll(s, "_", "")); ok {
			return Number, floatText(f)
		}
	}
	return String, s
}

// intText gives the decimal form of a YAML integer.
func intText(s string) (string, bool) {
	s = strings.ReplaceAll(s, "_", "")
	sign, digits := "", s
	if s[0] == '-' || s[0] == '+' {
		sign, digits = strings.TrimPrefix(s[:1], "+"), s[1:]
	}
	n := new(big.Int)
	base := 10
	switch {
	case strings.Contains(digits, ":"):
		for part := range strings.SplitSeq(digits, ":") {
			p, ok := new(big.Int).SetString(part, 10)
			if !ok {
				return "", false
			}
			n.Add(n.Mul(n, big.NewInt(60)), p)
		}
		return sign + n.String(), true
	case strings.HasPrefix(digits, "0b"):
		base, digits = 2, digits[2:]
	case strings.HasPrefix(digits, "0x"):
		base, digits = 16, digits[2:]
	case digits != "0" && digits[0] == '0':
		base, digits = 8, digits[1:]
	}
	if _, ok := n.SetString(digits, base); !ok {
		return "", false
	}
	if n.Sign() == 0 {
		sign = ""
	}
	return sign + n.String(), true
}

func floatValue(s string) (float64, bool) {
	sign := 1.0
	if s[0] == '-' || s[0] == '+' {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	value := 0.0
	for part := range strings.SplitSeq(s, ":") {
		f, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return 0, false
		}
		value = value*60 + f
	}
	return sign * value, !math.IsInf(value, 0)
}
