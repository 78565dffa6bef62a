package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// AskFailsafe asks all the given members (name to API URL) at once whether this primary may go on without
// etcd, and gives an answer for each, sorted by name, at the latest when ctx ends.
func (c *Client) AskFailsafe(ctx context.Context, members map[string]string, q cluster.FailsafeQuestion) []cluster.FailsafeAnswer {
	// Whole milliseconds, rounded up: the answer must not hold for less than what we count on.
	ms := (q.TTL.Nanoseconds() + 999_999) / 1_000_000
	body, err := json.Marshal(failsafeQuestion{Name: q.Name, ConnURL: q.ConnURL, APIURL: q.APIURL, Slots: q.Slots, TTL: ms})
	names := slices.Sorted(maps.Keys(members))
	answers := make([]cluster.FailsafeAnswer, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		answers[i] = cluster.FailsafeAnswer{Name: name}
		if err != nil {
			answers[i].Error = err.Error()
			continue
		}
		url := strings.TrimSuffix(members[name], "/patroni") + "/failsafe"
		all.Go(func() { c.askFailsafe(ctx, url, body, &answers[i]) })
	}
	all.Wait()
	return answers
}

// askFailsafe asks one member, once more if it did not answer. Source: ha.md 17.
func (c *Client) askFailsafe(ctx context.Context, url string, body []byte, a *cluster.FailsafeAnswer) {
	for range 2 {
		if ctx.Err() != nil {
			break
		}
		status, text, lsn, err := c.postFailsafe(ctx, url, body)
		if err != nil {
			a.Error = err.Error()
			continue
		}
		a.LSN = lsn
		a.Accepted = status == http.StatusOK && text == failsafeAccepted
		if a.Refused = !a.Accepted; a.Refused {
			a.Error = fmt.Sprintf("POST %s: %d: %s", url, status, text)
		}
		return
	}
	if a.Error == "" {
		a.Error = fmt.Sprintf("POST %s: %v", url, errors.Join(context.Cause(ctx), errNoAnswer))
	}
}

var errNoAnswer = errors.New("no answer in time")

// postFailsafe makes one attempt: two seconds to connect, and two more for the answer.
func (c *Client) postFailsafe(ctx context.Context, url string, body []byte) (status int, text string, lsn cluster.LSN, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*askTimeout, errNoAnswer)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", 0, fmt.Errorf("POST %s: %w", url, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.send(req)
	if err != nil {
		return 0, "", 0, err // names method and URL already
	}
	defer func() { _ = resp.Body.Close() }() // nothing can be lost by it: the answer was read
	raw, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return 0, "", 0, fmt.Errorf("POST %s: read answer: %w", url, err)
	}
	at, _ := strconv.ParseUint(resp.Header.Get("lsn"), 10, 64) // absent or garbage: not told
	return resp.StatusCode, string(raw), cluster.LSN(at), nil
}
