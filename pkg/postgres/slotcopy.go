package postgres

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// slotFile is the state file of a slot, as a server keeps it in pg_replslot.
type slotFile struct {
	name    string
	content []byte
}

// CopySlots copies logical slots from the leader into this standby, which is restarted for it: a server reads the
// files of its slots only when it starts. Nothing is stopped unless at least one slot can be copied. It names those that
// were, and the error joins what hindered any of them. Source: Patroni 4.1, postgresql/slots.py, copy_logical_slots.
func (i *Instance) CopySlots(ctx context.Context, leader cluster.Upstream, slots map[string]cluster.PermanentSlot) (copied []string, err error) {
	cfg := i.config()
	if level, _ := cfg.parameter("wal_level"); level != "logical" {
		return nil, fmt.Errorf("copy logical replication slots: wal_level is %q here, with which PostgreSQL does not start beside "+
			"a logical slot; set wal_level: logical in the dynamic configuration", level)
	}
	files, err := i.readSlots(ctx, leader, slots)
	files, err = i.withWAL(ctx, files, err)
	if files, err = i.notAhead(ctx, files, err); len(files) == 0 {
		return nil, err
	}
	r := i.currentRole(ctx)
	if !r.standby {
		return nil, errors.New("copy logical replication slots: this is no standby")
	}
	if _, stopErr := i.Stop(ctx, cluster.StopFast, true); stopErr != nil {
		return nil, errors.Join(err, fmt.Errorf("copy logical replication slots: %w", stopErr))
	}
	for _, f := range files {
		if writeErr := f.write(cfg.DataDir); writeErr != nil {
			err = errors.Join(err, writeErr)
			continue
		}
		copied = append(copied, f.name)
		i.log.Info("copied logical replication slot", "slot", f.name, "from", leader.Member, "restart_lsn", f.restartLSN().String())
	}
	return copied, errors.Join(err, i.StartReplica(ctx, r.upstream))
}

// readSlots reads the state files on the leader. The role for pg_rewind may read them.
func (i *Instance) readSlots(ctx context.Context, leader cluster.Upstream, slots map[string]cluster.PermanentSlot) ([]slotFile, error) {
	cfg := i.config()
	own := ""
	if syncsSlots.has(majorVersion(cfg.DataDir)) {
		own = "AND NOT failover" // those the servers copy themselves
	}
	out, err := session{cred: cfg.Rewind, to: leader, database: cfg.Database, name: "Patroni", limit: statementTimeout}.query(ctx,
		`SELECT slot_name, COALESCE(database, ''), COALESCE(plugin, ''),
 encode(pg_read_binary_file('pg_replslot/' || slot_name || '/state'), 'hex')
 FROM pg_replication_slots WHERE NOT temporary `+own+` AND NOT pg_is_in_recovery() AND slot_name = ANY (string_to_array($1, ','))
 ORDER BY slot_name`, strings.Join(slices.Sorted(maps.Keys(slots)), ","))
	if err != nil {
		return nil, fmt.Errorf("read logical replication slots of %s: %w", leader.Title(), err)
	}
	var files []slotFile
	var errs []error
	for _, r := range out {
		f := slotFile{name: r[0]}
		want := slots[f.name]
		if want.Database != r[1] || want.Plugin != r[2] {
			errs = append(errs, fmt.Errorf("logical replication slot %s is of database %q and plugin %q on %s, and not of %q and %q as configured",
				f.name, r[1], r[2], leader.Title(), want.Database, want.Plugin))
			continue
		}
		if f.content, err = hex.DecodeString(r[3]); err == nil {
			err = f.check()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("logical replication slot %s of %s: %w", f.name, leader.Title(), err))
			continue
		}
		files = append(files, f)
	}
	return files, errors.Join(errs...)
}

// The layout of a state file, in the byte order of the machine, which is the same on all servers of a cluster. The
// versions from 12 to 18 differ only in where confirmed_flush is and in what comes after it. Source: PostgreSQL 12 and 18,
// replication/slot.c, ReplicationSlotOnDisk; replication/slot.h, ReplicationSlotPersistentData.
const (
	slotMagic         = 0x1051CA1
	slotNameAt        = 16
	slotRestartLSNAt  = 96
	slotConfirmedAt   = 112
	slotConfirmedAt12 = 104
	slotFileMinimum   = 120
)

func (f slotFile) check() error {
	switch {
	case len(f.content) < slotFileMinimum:
		return fmt.Errorf("its state file has %d bytes, which is too short", len(f.content))
	case binary.NativeEndian.Uint32(f.content) != slotMagic:
		return errors.New("its state file is not one of this kind of machine")
	}
	name, _, _ := strings.Cut(string(f.content[slotNameAt:slotNameAt+64]), "\x00")
	if name != f.name {
		return fmt.Errorf("its state file is of slot %q", name)
	}
	return nil
}

// restartLSN is from where on the slot needs WAL.
func (f slotFile) restartLSN() cluster.LSN {
	return cluster.LSN(binary.NativeEndian.Uint64(f.content[slotRestartLSNAt:]))
}

// withWAL leaves out slots that need WAL which this server does not have. A copy of such a slot would be of no use;
// one is made when the slot has come to where this server's WAL begins. err is joined to what it finds.
func (i *Instance) withWAL(ctx context.Context, files []slotFile, err error) ([]slotFile, error) {
	if len(files) == 0 {
		return nil, err
	}
	out, sizeErr := i.local("Patroni", statementTimeout).query(ctx, `SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'`)
	if sizeErr != nil {
		return nil, errors.Join(err, fmt.Errorf("copy logical replication slots: %w", sizeErr))
	}
	size, sizeErr := strconv.ParseUint(out[0][0], 10, 64)
	if sizeErr != nil || size == 0 {
		return nil, errors.Join(err, fmt.Errorf("copy logical replication slots: wal_segment_size is %q", out[0][0]))
	}
	var good []slotFile
	for _, f := range files {
		segment := uint64(f.restartLSN()) / size
		perLog := uint64(1<<32) / size
		name := fmt.Sprintf("????????%08X%08X", segment/perLog, segment%perLog) // on whatever timeline
		if found, _ := filepath.Glob(filepath.Join(i.config().DataDir, "pg_wal", name)); len(found) > 0 {
			good = append(good, f)
			continue
		}
		err = errors.Join(err, fmt.Errorf("logical replication slot %s is not copied yet: it needs WAL from %s on, which this server "+
			"does not have; it will be when its consumer has come further", f.name, f.restartLSN()))
	}
	return good, err
}

// confirmed is how far its consumer has come, by the layout of a major version.
func (f slotFile) confirmed(major int) cluster.LSN {
	at := slotConfirmedAt
	if major < 13 {
		at = slotConfirmedAt12
	}
	return cluster.LSN(binary.NativeEndian.Uint64(f.content[at:]))
}

// notAhead leaves out slots whose consumer has read what this server has not received yet. If it were promoted without
// that, the slot would skip what is written in its place. Source: PostgreSQL 17, replication/logical/slotsync.c, which
// does not take such a slot on either. err is joined to what it finds.
func (i *Instance) notAhead(ctx context.Context, files []slotFile, err error) ([]slotFile, error) {
	if len(files) == 0 {
		return nil, err
	}
	out, askErr := i.local("Patroni", statementTimeout).query(ctx,
		`SELECT GREATEST(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())`)
	if askErr != nil {
		return nil, errors.Join(err, fmt.Errorf("copy logical replication slots: %w", askErr))
	}
	have, askErr := cluster.ParseLSN(out[0][0])
	if askErr != nil {
		return nil, errors.Join(err, fmt.Errorf("copy logical replication slots: this server does not tell how far it has come: %w", askErr))
	}
	var good []slotFile
	for _, f := range files {
		if at := f.confirmed(majorVersion(i.config().DataDir)); at > have {
			err = errors.Join(err, fmt.Errorf("logical replication slot %s is not copied yet: its consumer has read up to %s, and this "+
				"server has WAL up to %s", f.name, at, have))
			continue
		}
		good = append(good, f)
	}
	return good, err
}

// write puts the slot into the data directory of a stopped server. PostgreSQL removes what a crash leaves of it.
func (f slotFile) write(dataDir string) error {
	root := filepath.Join(dataDir, "pg_replslot")
	tmp, path := filepath.Join(root, f.name+".tmp"), filepath.Join(root, f.name)
	err := errors.Join(os.RemoveAll(tmp), os.Mkdir(tmp, dirMode(dataDir)))
	if err == nil {
		err = replace(filepath.Join(tmp, "state"), f.content, fileMode(dataDir))
	}
	if err == nil {
		err = os.RemoveAll(path)
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = syncDir(root)
	}
	if err != nil {
		return fmt.Errorf("write replication slot %s: %w", f.name, err)
	}
	return nil
}

// dirMode is what directories inside the data directory get.
func dirMode(dataDir string) fs.FileMode {
	if fileMode(dataDir)&0o040 != 0 {
		return 0o750
	}
	return 0o700
}
