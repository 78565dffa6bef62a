package postgres

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// controlData is what this package needs of the control file.
type controlData struct {
	cluster.Control
	SystemID string
	Redo     cluster.LSN // where recovery from the last checkpoint begins
	// Limits are the five settings that a standby must not have smaller than its primary had.
	Limits []Parameter
}

// The control file has one layout from PostgreSQL 12 to 17 as far as the fields below go, and 18 differs
// only behind them; the checksum of the whole structure, found where that version has it, proves it each
// time. Source: PostgreSQL 12 to 18, src/include/catalog/pg_control.h, struct ControlFileData.
var controlCRCOffset = map[uint32]int{1201: 288, 1300: 288, 1700: 288, 1800: 292}

var controlStates = []string{
	"starting up", "shut down", "shut down in recovery", "shutting down", "in crash recovery",
	"in archive recovery", "in production",
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readControl reads global/pg_control, which takes microseconds; only a layout that it can't prove is left
// to pg_controldata.
func (i *Instance) readControl(ctx context.Context) (*controlData, error) {
	cfg := i.config()
	path := filepath.Join(cfg.DataDir, "global", "pg_control")
	// A running server overwrites the file in place, so a torn read is possible, if only just.
	for range 3 {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read control file: %w", err)
		}
		if c, ok := parseControl(b); ok {
			return c, nil
		}
	}
	out, err := i.run(ctx, command{path: cfg.program("pg_controldata"), args: []string{cfg.DataDir}, env: untranslated})
	if err != nil {
		return nil, fmt.Errorf("read control file of %s: %w", cfg.DataDir, err)
	}
	return parseControlText(out)
}

func parseControl(b []byte) (*controlData, bool) {
	if len(b) < 300 {
		return nil, false
	}
	u32 := func(at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }
	u64 := func(at int) uint64 { return binary.NativeEndian.Uint64(b[at:]) }
	end, known := controlCRCOffset[u32(8)]
	if !known || crc32.Checksum(b[:end], castagnoli) != u32(end) || int(u32(16)) >= len(controlStates) {
		return nil, false
	}
	c := &controlData{
		SystemID: strconv.FormatUint(u64(0), 10),
		Redo:     cluster.LSN(u64(40)),
		Control: cluster.Control{
			State:            controlStates[u32(16)],
			Checkpoint:       cluster.LSN(u64(32)),
			Timeline:         cluster.Timeline(u32(48)),
			MinRecoveryLSN:   cluster.LSN(u64(136)),
			MinRecoveryTLI:   cluster.Timeline(u32(144)),
			BackupStartPoint: cluster.LSN(u64(152)),
			WalLogHints:      b[176] != 0,
			DataChecksums:    u32(252) != 0,
		},
	}
	for n, name := range limitNames {
		c.Limits = append(c.Limits, Parameter{name, strconv.Itoa(int(int32(u32(180 + 4*n))))})
	}
	return c, true
}

// limitNames are in the order of the control file.
var limitNames = []string{
	"max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction",
}

// parseControlText reads what pg_controldata prints in the C locale.
func parseControlText(out string) (*controlData, error) {
	label := make(map[string]string)
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			label[strings.TrimPrefix(name, "Current ")] = strings.TrimSpace(value)
		}
	}
	c := &controlData{SystemID: label["Database system identifier"]}
	if !cluster.ValidSystemID(c.SystemID) {
		return nil, fmt.Errorf("read control file: no valid system identifier in the output of pg_controldata")
	}
	lsn := func(name string) cluster.LSN {
		l, _ := cluster.ParseLSN(label[name]) // zero is "not known"
		return l
	}
	timeline := func(name string) cluster.Timeline {
		n, _ := strconv.ParseUint(label[name], 10, 32)
		return cluster.Timeline(n)
	}
	c.Redo = lsn("Latest checkpoint's REDO location")
	c.Control = cluster.Control{
		State:            label["Database cluster state"],
		Checkpoint:       lsn("Latest checkpoint location"),
		Timeline:         timeline("Latest checkpoint's TimeLineID"),
		MinRecoveryLSN:   lsn("Minimum recovery ending location"),
		MinRecoveryTLI:   timeline("Min recovery ending loc's timeline"),
		BackupStartPoint: lsn("Backup start location"),
		WalLogHints:      label["wal_log_hints setting"] == "on",
		DataChecksums:    label["Data page checksum version"] != "0",
	}
	texts := []string{"max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_xacts", "max_locks_per_xact"}
	for n, name := range limitNames {
		if v := label[texts[n]+" setting"]; v != "" {
			c.Limits = append(c.Limits, Parameter{name, v})
		}
	}
	return c, nil
}
