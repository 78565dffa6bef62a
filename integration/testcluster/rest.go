package testcluster

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// REST sends a request to the REST API of the node and gives the status and the body of the answer. An empty body
// sends none.
func (n *Node) REST(method, path, body string) (status int, answer string, err error) {
	req, err := http.NewRequest(method, fmt.Sprintf("http://%s:%d%s", n.Listen, n.RESTPort, path), strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// Get sends a GET; without an answer the test ends.
func (n *Node) Get(path string) (status int, answer string) {
	n.c.T.Helper()
	status, answer, err := n.REST(http.MethodGet, path, "")
	if err != nil {
		n.c.T.Fatalf("GET %s of %s: %v", path, n.Name, err)
	}
	return status, answer
}

// Configure changes the configuration of the cluster while it runs.
func (n *Node) Configure(patch string) {
	n.c.T.Helper()
	status, answer, err := n.REST(http.MethodPatch, "/config", patch)
	if err != nil || status != http.StatusOK {
		n.c.T.Fatalf("PATCH /config of %s with %s: %d %s %v", n.Name, patch, status, answer, err)
	}
}
