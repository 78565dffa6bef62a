package api

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// limits are the conditions on a replica that a query string adds.
type limits struct {
	lag              int64 // bytes
	limited          bool  // lag counts
	replicationState string
}

func parseLimits(query url.Values) (limits, error) {
	lag, given, err := parseLag(query.Get("lag"))
	return limits{lag: lag, limited: given, replicationState: query.Get("replication_state")}, err
}

func (q limits) within(p picture) bool {
	if q.replicationState != "" && q.replicationState != p.Server.ReplicationState() {
		return false
	}
	leader := p.leaderLSN()
	if !q.limited || leader == 0 {
		return true
	}
	return p.Server.Answered && int64(leader)-int64(p.Server.ReplayLSN) <= q.lag
}

var lagForm = regexp.MustCompile(`^\s*([-+]?(?:0[xX][0-9a-fA-F]+|[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+\.))\s*([A-Za-z]*)\s*$`)

var lagUnits = map[string]float64{
	"": 1, "b": 1, "kb": 1 << 10, "kib": 1 << 10, "mb": 1 << 20, "mib": 1 << 20,
	"gb": 1 << 30, "gib": 1 << 30, "tb": 1 << 40, "tib": 1 << 40,
}

// parseLag reads a number of bytes with or without a unit, in any case; numbers may be decimal, hexadecimal
// with 0x or octal with 0. Patroni takes what it can't read as "no limit"; a typing mistake would then send
// queries to a replica that is days behind, so here it is an error.
func parseLag(s string) (bytes int64, given bool, err error) {
	if s == "" {
		return 0, false, nil
	}
	m := lagForm.FindStringSubmatch(s)
	if m == nil {
		return 0, false, lagError(s)
	}
	unit, known := lagUnits[strings.ToLower(m[2])]
	if !known {
		return 0, false, lagError(s)
	}
	var number float64
	if whole, err := strconv.ParseInt(m[1], 0, 64); err == nil {
		number = float64(whole)
	} else if number, err = strconv.ParseFloat(m[1], 64); err != nil {
		return 0, false, lagError(s)
	}
	number = math.RoundToEven(number * unit)
	if math.Abs(number) >= math.MaxInt64 {
		return 0, false, lagError(s)
	}
	return int64(number), true, nil
}

func lagError(s string) error {
	return fmt.Errorf("lag %q is not a number of bytes; write it like 1048576, 1024kB, 1MB or 1GB", s)
}

// tagsMatch reports whether each tag_<name> of the query equals the node's tag. Of a parameter that is
// repeated the first counts; an empty one asks nothing. Source: Patroni 4.1, api.py, _do_GET tags.
func tagsMatch(tags cluster.Tags, query url.Values) bool {
	for key := range query {
		name, ok := strings.CutPrefix(key, "tag_")
		want := query.Get(key)
		if !ok || want == "" {
			continue
		}
		have, present := tags[name]
		if !present || have == nil {
			return false
		}
		if s, isText := have.(string); isText && s != want || !isText && strings.ToLower(fmt.Sprint(have)) != want {
			return false
		}
	}
	return true
}
