package view

import (
	"strconv"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

var historyColumns = []Column{{"TL", true}, {"LSN", true}, {"Reason", false}, {"Timestamp", false}, {"New Leader", false}}

// History writes the changes of timeline in the order in which they are stored. The position is in bytes,
// decimal.
func History(entries []cluster.HistoryEntry, f Format) ([]byte, error) {
	switch f {
	case FormatJSON, FormatYAML:
		list := []any{}
		for _, e := range entries {
			list = append(list, Object{
				{"TL", uint64(e.Timeline)},
				{"LSN", uint64(e.LSN)},
				{"Reason", e.Reason},
				{"Timestamp", e.Timestamp},
				{"New Leader", e.NewLeader},
			})
		}
		if f == FormatJSON {
			return JSON(list), nil
		}
		return append(YAML(list), '\n'), nil
	}
	t := Table{Columns: historyColumns}
	for _, e := range entries {
		t.Rows = append(t.Rows, []string{
			strconv.FormatUint(uint64(e.Timeline), 10), strconv.FormatUint(uint64(e.LSN), 10), e.Reason, e.Timestamp, e.NewLeader,
		})
	}
	if f == FormatTSV {
		return t.tsv(), nil
	}
	return t.Render()
}
