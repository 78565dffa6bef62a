package dcs

import (
	"encoding/json"
	"strconv"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// EncodeHistory gives the value of /history: an array of lines of three to five items.
func EncodeHistory(h cluster.History) []byte {
	buf := []byte{'['}
	for i, e := range h.Entries {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(buf, '[')
		buf = strconv.AppendUint(buf, uint64(e.Timeline), 10)
		buf = append(buf, ',')
		buf = strconv.AppendUint(buf, uint64(e.LSN), 10)
		buf = append(buf, ',')
		buf = appendString(buf, e.Reason)
		if e.Timestamp != "" || e.NewLeader != "" {
			buf = appendString(append(buf, ','), e.Timestamp)
		}
		if e.NewLeader != "" {
			buf = appendString(append(buf, ','), e.NewLeader)
		}
		buf = append(buf, ']')
	}
	return append(buf, ']')
}

// DecodeHistory reads /history. If one line can't be read the whole is taken for absent: the cluster's
// timeline is read from the last line, and a wrong timeline is worse than none.
func DecodeHistory(value []byte) cluster.History {
	var lines [][]json.RawMessage
	if json.Unmarshal(value, &lines) != nil || lines == nil {
		return cluster.History{}
	}
	h := cluster.History{Present: true}
	for _, line := range lines {
		e, ok := decodeHistoryLine(line)
		if !ok {
			return cluster.History{}
		}
		h.Entries = append(h.Entries, e)
	}
	return h
}

func decodeHistoryLine(line []json.RawMessage) (cluster.HistoryEntry, bool) {
	if len(line) < 3 {
		return cluster.HistoryEntry{}, false
	}
	e := cluster.HistoryEntry{Timeline: timeline(readUnsigned(line[0])), LSN: cluster.LSN(readUnsigned(line[1]))}
	texts := []*string{&e.Reason, &e.Timestamp, &e.NewLeader}
	for i, raw := range line[2:] {
		if i < len(texts) && json.Unmarshal(raw, texts[i]) != nil {
			return cluster.HistoryEntry{}, false
		}
	}
	return e, e.Timeline != 0
}
