package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/config"
	"github.com/hathi-ha/hathi/pkg/dcs/etcd"
	"github.com/hathi-ha/hathi/pkg/doctor"
	"github.com/hathi-ha/hathi/pkg/postgres/query"
)

// memberPatience bounds what one member may take to answer by REST and SQL.
const memberPatience = 4 * time.Second

// lookAtCluster asks etcd and all members of the cluster of a configuration what they are.
func lookAtCluster(ctx context.Context, cfg *config.Config) (doctor.Live, error) {
	live := doctor.Live{Cluster: cfg.Scope}
	client, err := etcd.Open(ctx, etcdOptions(cfg))
	if err != nil {
		return live, err
	}
	defer client.Close()
	view, err := client.Snapshot(ctx, cfg.Scope)
	if err != nil {
		return live, err
	}
	if live.EtcdMembers, err = client.Members(ctx); err != nil {
		live.EtcdMembers = 0 // a user without that right: not known
	}
	raw := view.Config.Raw
	if !view.Config.Present {
		raw = []byte("{}")
	}
	if dynamic, _, err := config.ParseDynamic(raw, config.DynamicOptions{}); err == nil {
		effective, _ := config.Merge(cfg, dynamic, 0)
		live.UsePgRewind, live.UseSlots = effective.Settings.UsePgRewind, effective.Settings.UseSlots
	}
	secure, err := restTLS(cfg.Ctl, false)
	if err != nil {
		return live, err
	}
	caller := &http.Client{Transport: &http.Transport{TLSClientConfig: secure, DisableKeepAlives: true}}
	live.Members = make([]doctor.LiveMember, len(view.Members))
	var all sync.WaitGroup
	for i, m := range view.Members {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, memberPatience)
			defer cancel()
			live.Members[i] = lookAtMember(ctx, caller, cfg, m)
		})
	}
	all.Wait()
	return live, nil
}

func lookAtMember(ctx context.Context, caller *http.Client, cfg *config.Config, m cluster.Member) doctor.LiveMember {
	l := doctor.LiveMember{Name: m.Name, APIURL: m.APIURL, ConnURL: m.ConnURL}
	if err := askREST(ctx, caller, &l); err != nil {
		l.APIError = err.Error()
	}
	if err := askSQL(ctx, cfg, m, &l); err != nil {
		l.SQLError = strings.ReplaceAll(err.Error(), "\n", " ")
	}
	return l
}

func askREST(ctx context.Context, caller *http.Client, l *doctor.LiveMember) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.APIURL, nil)
	if err != nil {
		return err
	}
	resp, err := caller.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var document struct {
		PostmasterStartTime string `json:"postmaster_start_time"`
		Patroni             struct{ Scope, Name string }
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&document); err != nil || document.Patroni.Name == "" {
		return fmt.Errorf("what answers is not a member of a cluster (HTTP status %d)", resp.StatusCode)
	}
	l.APIScope, l.APIName = document.Patroni.Scope, document.Patroni.Name
	if start, err := time.Parse("2006-01-02 15:04:05.999999-07:00", document.PostmasterStartTime); err == nil {
		l.PostmasterStartByAPI = start
	}
	return nil
}

// identity asks a server who it is, what time it has, and what is good to know.
const identity = `SELECT (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint::text,
 (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint::text, pg_catalog.current_setting('data_checksums'),
 pg_catalog.current_setting('wal_log_hints'), coalesce(pg_catalog.current_setting('max_slot_wal_keep_size', true), '')`

func askSQL(ctx context.Context, cfg *config.Config, m cluster.Member, l *doctor.LiveMember) error {
	host, port := m.Address()
	if host == "" {
		return fmt.Errorf("its key in etcd has no address")
	}
	user := cfg.Postgres.Superuser
	options := map[string]string{}
	for _, p := range user.Options {
		options[p.Name] = p.Value
	}
	before := time.Now()
	rows, err := query.Run(ctx, query.Target{
		Host: host, Port: port, User: user.Username, Password: user.Password.Reveal(), Database: cfg.Postgres.Database, Options: options,
	}, query.Any, identity)
	spent := time.Since(before)
	if err != nil {
		return err
	}
	if len(rows.Values) != 1 || len(rows.Values[0]) != 5 {
		return fmt.Errorf("an answer of %d rows, want one of 5 columns", len(rows.Values))
	}
	var texts [5]string
	for i, v := range rows.Values[0] {
		texts[i] = fmt.Sprint(v)
	}
	start, err := strconv.ParseInt(texts[0], 10, 64)
	if err != nil {
		return fmt.Errorf("start of the server: %w", err)
	}
	now, err := strconv.ParseInt(texts[1], 10, 64)
	if err != nil {
		return fmt.Errorf("clock of the server: %w", err)
	}
	l.PostmasterStartBySQL = time.UnixMicro(start)
	l.ClockOffset, l.ClockError = time.UnixMicro(now).Sub(before.Add(spent/2)), spent/2
	l.Checksums, l.Hints, l.SlotLimit = texts[2] == "on", texts[3] == "on", texts[4]
	return nil
}
