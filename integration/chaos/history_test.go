package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// historian keeps what clients wrote to and read from a few registers, to be judged: in the synchronous modes the
// cluster has to look like one machine that does one thing after the other.
type historian struct {
	begin time.Time
	mu    sync.Mutex
	all   []porcupine.Operation
}

const (
	registers  = 24
	historians = 4 // clients
)

// register is the input of an operation, a value its output: zero before the first write.
type register struct {
	key   int
	write int64 // zero: a read
}

// record starts the clients; stop ends them.
func record(t *testing.T, c *testcluster.Cluster) (h *historian, stop func()) {
	t.Helper()
	if _, err := c.Primary().SQL(fmt.Sprintf("CREATE TABLE registers AS SELECT key, 0::bigint AS value FROM generate_series(0, %d) AS key", registers-1)); err != nil {
		t.Fatal(err)
	}
	h = &historian{begin: time.Now()}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for client := range historians {
		running.Go(func() { h.client(ctx, client, c.URLs()) })
	}
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(stop)
	return h, stop
}

func (h *historian) client(ctx context.Context, id int, urls string) {
	r := rand.New(rand.NewPCG(uint64(id), 1))
	written := int64(id)
	for ctx.Err() == nil {
		conn, err := pgconn.Connect(ctx, urls)
		for err == nil && ctx.Err() == nil {
			op := register{key: r.IntN(registers)}
			if r.IntN(2) == 0 {
				written += historians // no two clients write the same value
				op.write = written
			}
			err = h.do(ctx, conn, id, op)
			time.Sleep(5 * time.Millisecond) // the pace of a client
		}
		if conn != nil {
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 200*time.Millisecond)
			_ = conn.Close(closing)
			cancel()
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// do carries an operation out and takes it down. A write without an answer may take effect at any time later; a
// read without one tells nothing.
func (h *historian) do(ctx context.Context, conn *pgconn.PgConn, id int, op register) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	statement := fmt.Sprintf("SELECT value FROM registers WHERE key = %d", op.key)
	if op.write != 0 {
		statement = fmt.Sprintf("UPDATE registers SET value = %d WHERE key = %d RETURNING value", op.write, op.key)
	}
	called := time.Since(h.begin)
	results, err := conn.Exec(ctx, statement).ReadAll()
	o := porcupine.Operation{ClientId: id, Input: op, Call: int64(called), Return: int64(time.Since(h.begin))}
	switch {
	case err != nil && op.write == 0:
		return err
	case err != nil:
		o.Output, o.Return = op.write, int64(24*time.Hour)
	default:
		value, bad := strconv.ParseInt(string(results[0].Rows[0][0]), 10, 64)
		if bad != nil {
			return bad
		}
		o.Output = value
	}
	h.mu.Lock()
	h.all = append(h.all, o)
	h.mu.Unlock()
	return err
}

// model is a set of registers, judged one by one.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make([][]porcupine.Operation, registers)
		for _, o := range history {
			key := o.Input.(register).key
			parts[key] = append(parts[key], o)
		}
		return parts
	},
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		if op := input.(register); op.write != 0 {
			return true, op.write
		}
		return output.(int64) == state.(int64), state
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %v", input, output) },
}

// fewest is how many operations a history must have to say something; a run of ten minutes has tens of thousands.
const fewest = 1000

// judge fails the test unless the history is known to be one that one machine could have had.
func (h *historian) judge(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	verdict := porcupine.CheckOperationsTimeout(model, h.all, 5*time.Minute)
	t.Logf("history of %d operations on %d registers: %s", len(h.all), registers, verdict)
	if verdict != porcupine.Ok {
		t.Errorf("the history was not found to be linearizable, but %s (Unknown: the judge had too little time)", verdict)
	}
	if len(h.all) < fewest {
		t.Errorf("a history of %d operations says nothing, at least %d are wanted", len(h.all), fewest)
	}
}

// TestJudge: the judge finds a lost write and a stale read, and lets a write without an answer take effect late.
func TestJudge(t *testing.T) {
	op := func(write, output, call, answer int64) porcupine.Operation {
		return porcupine.Operation{Input: register{write: write}, Output: output, Call: call, Return: answer}
	}
	for name, c := range map[string]struct {
		history []porcupine.Operation
		want    bool
	}{
		"in order":                 {[]porcupine.Operation{op(1, 1, 0, 1), op(0, 1, 2, 3), op(2, 2, 4, 5), op(0, 2, 6, 7)}, true},
		"a write is lost":          {[]porcupine.Operation{op(1, 1, 0, 1), op(0, 0, 2, 3)}, false},
		"a stale read":             {[]porcupine.Operation{op(1, 1, 0, 1), op(2, 2, 2, 3), op(0, 1, 4, 5)}, false},
		"effect without an answer": {[]porcupine.Operation{op(1, 1, 0, 1000), op(0, 0, 2, 3), op(0, 1, 4, 5)}, true},
		"effect and back":          {[]porcupine.Operation{op(1, 1, 0, 1000), op(0, 1, 2, 3), op(0, 0, 4, 5)}, false},
	} {
		if got := porcupine.CheckOperations(model, c.history); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}
