package postgres

// span are the versions that do something, from one on and before another; zero: no limit. A version is what
// majorVersion gives, such as 150000.
type span struct{ from, before int }

func (s span) has(version int) bool {
	return version >= s.from && (s.before == 0 || version < s.before)
}

// What PostgreSQL 12 to 18 do differently, as far as this package has to know. What a version accepts as a
// setting is not here: it is asked itself, see validParameters.
// Source: the release notes of PostgreSQL 13 to 18; postgresql.conf documentation of each.
var (
	// readsUpstream: primary_conninfo and primary_slot_name are read at a reload; before that takes a restart.
	readsUpstream = span{from: 130000}
	// hasTriggerFile: the setting promote_trigger_file exists.
	hasTriggerFile = span{before: 160000}
	// rewindRestores: pg_rewind fetches missing WAL by the restore_command of the target's postgresql.conf.
	rewindRestores = span{from: 130000}
	// rewindFindsConfig: it does so also with a configuration outside of the data directory, --config-file.
	rewindFindsConfig = span{from: 150000}
	// tellsWritten: the WAL receiver tells what it has written; slotTellsWAL: a slot tells its wal_status.
	tellsWritten = span{from: 130000}
	slotTellsWAL = span{from: 130000}
	// syncsSlots: a standby copies the logical slots of its primary that are marked failover, by itself.
	syncsSlots = span{from: 170000}
)

// keywordsSince are the keywords of libpq that not every version knows.
var keywordsSince = map[string]span{
	"channel_binding": {from: 130000}, "sslpassword": {from: 130000}, "sslcrldir": {from: 140000}, "sslnegotiation": {from: 170000},
}
