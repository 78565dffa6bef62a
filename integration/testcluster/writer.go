package testcluster

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Ack is one row that PostgreSQL has acknowledged.
type Ack struct {
	ID       int64
	Sent, At time.Time
	Node     string // empty for a client that may go anywhere
	Timeline int64  // of the server that acknowledged it
	// LSN is how far its WAL went just before the commit.
	LSN cluster.LSN
}

// Writer commits unique rows every few milliseconds and takes down what was acknowledged, and when.
type Writer struct {
	urls   string
	node   string
	first  int64
	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex
	acks []Ack
	errs map[string]int
}

// pace is the pause between two commits.
const pace = 2 * time.Millisecond

// StartWriter starts a client with a multi-host connection string that goes wherever writes are accepted.
func (c *Cluster) StartWriter() *Writer {
	c.T.Helper()
	c.prepareTable()
	w := c.start(c.URLs(), "")
	c.WaitFor(10*time.Second, "first acknowledged row", func() bool { return w.Count() > 0 })
	return w
}

// URLs gives the connection string of whoever accepts writes.
func (c *Cluster) URLs() string {
	var hosts, ports []string
	for _, n := range c.Nodes {
		hosts, ports = append(hosts, n.Listen), append(ports, fmt.Sprint(n.Port))
	}
	return fmt.Sprintf("host=%s port=%s user=postgres password=secret-super dbname=postgres sslmode=disable connect_timeout=1 target_session_attrs=read-write",
		strings.Join(hosts, ","), strings.Join(ports, ","))
}

// StartProbes starts one client per node that writes to that node whenever it accepts writes, so that two
// primaries would show.
func (c *Cluster) StartProbes() []*Writer {
	c.T.Helper()
	c.prepareTable()
	var probes []*Writer
	for _, n := range c.Nodes {
		dsn := fmt.Sprintf("host=%s port=%d user=postgres password=secret-super dbname=postgres sslmode=disable", n.Listen, n.Port)
		probes = append(probes, c.start(dsn, n.Name))
	}
	return probes
}

func (c *Cluster) prepareTable() {
	c.T.Helper()
	if _, err := c.Primary().SQL("CREATE TABLE IF NOT EXISTS acked (id bigint PRIMARY KEY)"); err != nil {
		c.T.Fatalf("make the table: %v", err)
	}
}

// writers counts all writers, so that no two use the same ids.
var writers atomic.Int64

func (c *Cluster) start(dsn, node string) *Writer {
	first := writers.Add(1) << 32
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writer{urls: dsn, node: node, first: first, cancel: cancel, done: make(chan struct{}), errs: map[string]int{}}
	c.T.Cleanup(func() { w.Stop() })
	go w.run(ctx)
	return w
}

// Stop ends the writer.
func (w *Writer) Stop() {
	w.cancel()
	<-w.done
}

// Count gives the number of acknowledged rows.
func (w *Writer) Count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acks)
}

// Count gives the number of rows that were acknowledged to all of the writers.
func Count(writers []*Writer) int {
	n := 0
	for _, w := range writers {
		n += w.Count()
	}
	return n
}

// Acks gives what was acknowledged so far.
func (w *Writer) Acks() []Ack {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Ack(nil), w.acks...)
}

// LongestGap gives the longest time between two acknowledged commits since a moment, with where it began.
func (w *Writer) LongestGap(since time.Time) time.Duration {
	var longest time.Duration
	last := since
	for _, a := range w.Acks() {
		if a.At.Before(since) {
			continue
		}
		longest = max(longest, a.At.Sub(last))
		last = a.At
	}
	return longest
}

func (w *Writer) run(ctx context.Context) {
	defer close(w.done)
	cfg, err := pgconn.ParseConfig(w.urls)
	if err != nil {
		panic(err) // the string is made above
	}
	cfg.ConnectTimeout = 500 * time.Millisecond
	id := w.first
	for ctx.Err() == nil {
		conn, err := pgconn.ConnectConfig(ctx, cfg)
		if err != nil {
			w.failed(err)
			rest(ctx, 5*time.Millisecond)
			continue
		}
		for ctx.Err() == nil {
			id++
			if err := w.commit(ctx, conn, id); err != nil {
				w.failed(err)
				if !isReplica(err) {
					break
				}
			}
			rest(ctx, pace)
		}
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 200*time.Millisecond)
		_ = conn.Close(closing)
		cancel()
	}
}

// isReplica reports whether a server refused to write because it is in recovery. Its sessions go on, and can write as soon
// as it is promoted; a new connection for each try costs a process, of which hundreds a second keep a machine busy.
func isReplica(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "25006" // read_only_sql_transaction
}

// commit inserts one row. A row whose answer did not come may or may not be there; it is not counted.
func (w *Writer) commit(ctx context.Context, conn *pgconn.PgConn, id int64) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	sent := time.Now()
	results, err := conn.Exec(ctx, fmt.Sprintf("INSERT INTO acked VALUES (%d) RETURNING left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), pg_current_wal_insert_lsn()", id)).ReadAll()
	if err != nil {
		return err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return errors.New("a row was inserted and not returned")
	}
	timeline, err := strconv.ParseInt(string(results[0].Rows[0][0]), 16, 64)
	if err != nil {
		return err
	}
	lsn, err := cluster.ParseLSN(string(results[0].Rows[0][1]))
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.acks = append(w.acks, Ack{ID: id, Sent: sent, At: time.Now(), Node: w.node, Timeline: timeline, LSN: lsn})
	w.mu.Unlock()
	return nil
}

func (w *Writer) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errs[err.Error()]++
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Lost gives the acknowledged rows that the present leader does not have.
func (c *Cluster) Lost(writers ...*Writer) []Ack {
	c.T.Helper()
	text, err := c.Primary().SQL("SELECT coalesce(string_agg(id::text, ','), '') FROM acked")
	if err != nil {
		c.T.Fatalf("read the rows: %v", err)
	}
	there := make(map[string]bool)
	for _, id := range strings.Split(text, ",") {
		there[id] = true
	}
	var lost []Ack
	for _, w := range writers {
		for _, a := range w.Acks() {
			if !there[fmt.Sprint(a.ID)] {
				lost = append(lost, a)
			}
		}
	}
	return lost
}

// WaitWrites waits until the writer has another row acknowledged.
func (c *Cluster) WaitWrites(w *Writer, limit time.Duration) {
	c.T.Helper()
	before := w.Count()
	c.WaitFor(limit, "further acknowledged rows", func() bool { return w.Count() > before })
}

// Account stops the writers and looks at every row that was acknowledged to them: none beside another primary and,
// if the mode promises it, none that is lost. It gives those that are lost.
func (c *Cluster) Account(lossless bool, writers ...*Writer) (lost []Ack) {
	c.T.Helper()
	for _, w := range writers {
		w.Stop()
	}
	if n := Overlap(writers); n > 0 {
		c.T.Errorf("%d rows were acknowledged while another primary was open: reigns %v", n, Reigns(writers))
	}
	lost = c.Lost(writers...)
	if lossless && len(lost) > 0 {
		c.T.Errorf("%d acknowledged rows are lost, the first is %+v", len(lost), lost[0])
	}
	return lost
}

// Reigns puts the acknowledgements of all probes in order of time and gives the nodes that acknowledged,
// each as often as it began anew: two primaries at once show as many short reigns. A client that may go anywhere
// tells of none.
func Reigns(probes []*Writer) []string {
	var all []Ack
	for _, w := range probes {
		all = append(all, w.Acks()...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].At.Before(all[j].At) })
	var reigns []string
	for _, a := range all {
		if a.Node != "" && (len(reigns) == 0 || reigns[len(reigns)-1] != a.Node) {
			reigns = append(reigns, a.Node)
		}
	}
	return reigns
}

// Overlap counts the rows that a server acknowledged although they were sent to it when another server had
// acknowledged something on a later timeline: zero unless two primaries were open to writes at once. Whoever is
// promoted begins a timeline, so the order of timelines is the order of reigns, and each has one server.
func Overlap(writers []*Writer) int {
	first := map[int64]time.Time{} // acknowledgement on each timeline
	owner := map[int64]string{}
	var all []Ack
	for _, w := range writers {
		all = append(all, w.Acks()...)
	}
	for _, a := range all {
		if at, ok := first[a.Timeline]; !ok || a.At.Before(at) {
			first[a.Timeline] = a.At
		}
		if a.Node != "" && owner[a.Timeline] == "" {
			owner[a.Timeline] = a.Node
		}
	}
	over := 0
	for _, a := range all {
		if a.Node != "" && a.Node != owner[a.Timeline] {
			over++ // two servers wrote on what they both took for the same timeline
			continue
		}
		for timeline, at := range first {
			if timeline > a.Timeline && at.Before(a.Sent) {
				over++
				break
			}
		}
	}
	return over
}
