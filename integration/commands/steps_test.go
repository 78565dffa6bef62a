package commands

import (
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// settled waits until everybody has everything: then the lag is zero in each run.
func settled(c *testcluster.Cluster) { c.T.Helper(); c.WaitSettled(enough) }

// promoted is settled after a standby cluster was promoted. A replica that meets the new timeline before the leader's key
// tells of it looks well, and then follows nobody for a moment.
func promoted(c *testcluster.Cluster) {
	c.T.Helper()
	c.WaitSettled(enough)
	time.Sleep(2 * time.Second) // nothing tells that this is not going to happen
	c.WaitSettled(enough)
}

// steps are all of them, in their order.
func steps() []step {
	var all []step
	for _, part := range [][]step{reading(), queries(), dryRuns(), maintenance(), leaders(), endings()} {
		all = append(all, part...)
	}
	return all
}

// reading changes nothing.
func reading() []step {
	return []step{
		{name: "list", args: "patronictl list", before: settled},
		{name: "list-extended", args: "patronictl list -e"},
		{name: "list-tsv", args: "patronictl list demo -f tsv"},
		{name: "list-json", args: "patronictl list demo -f json"},
		{name: "list-yaml", args: "patronictl list demo -f yaml"},
		{name: "list-extended-tsv", args: "patronictl list -e --format=tsv"},
		{name: "list-timestamp", args: "patronictl list -t -f json demo nosuch"},
		{name: "list-unknown", args: "hathi list nosuch"},
		{name: "list-unknown-tsv", args: "patronictl list nosuch -f tsv"},
		{name: "list-unknown-json", args: "hathi list nosuch -f json"},
		{name: "list-unknown-yml", args: "patronictl list nosuch -fyml"},
		{name: "topology", args: "patronictl topology"},
		{name: "topology-unknown", args: "patronictl topology nosuch"},
		{name: "history-none", args: "patronictl history"},
		{name: "history-none-tsv", args: "patronictl history -f tsv"},
		{name: "history-none-json", args: "patronictl history -f json"},
		{name: "history-none-yaml", args: "patronictl history -f yaml"},
		{name: "show-config", args: "patronictl show-config"},
		{name: "show-config-json", args: "hathi show-config --format json"},
		{name: "show-config-none", args: "patronictl show-config nosuch"},
		{name: "version", args: "patronictl version"},
		{name: "version-members", args: "patronictl version demo node2 node3"},
		{name: "version-json", args: "hathi version demo node2 --format json"},
		{name: "version-unknown", args: "patronictl version nosuch"},
		{name: "dsn", args: "patronictl dsn"},
		{name: "dsn-member", args: "patronictl dsn -m node3"},
		{name: "dsn-role", args: "hathi dsn -r replica"},
		{name: "dsn-nobody", args: "patronictl dsn -m nobody"},
		{name: "dsn-both", args: "patronictl dsn -m node2 -r any"},
	}
}

const everyType = `'select 1 a, null n, true t, 2.0::float8 f, 1.50 num, date~2030-01-01~ d, ~{1,2}~::int[] i, ~{"{\"b\":1}"}~::text[] s, ~{"b":[1,null],"a":"x"}~::json j'`

func queries() []step {
	typed := "hathi query -c " + everyType
	return []step{
		{name: "query", args: typed},
		{name: "query-pretty", args: typed + " --format pretty"},
		{name: "query-json", args: typed + " --format json"},
		{name: "query-yaml", args: typed + " --format yaml"},
		{name: "query-delimiter", args: "patronictl query --delimiter | -r replica -c 'select pg_is_in_recovery(), 1'"},
		{name: "query-stdin", args: "patronictl query -f -", input: "select 1 as first; select 2 as second"},
		{name: "query-syntax", args: "patronictl query -c selec"},
		{name: "query-syntax-hathi", args: "hathi query -c selec"},
		{name: "query-syntax-json", args: "patronictl query -c selec --format json"},
		{name: "query-syntax-pretty", args: "patronictl query -c selec --format pretty"},
		{name: "query-empty", args: "patronictl query -c ''"},
		{name: "query-no-rows", args: "patronictl query -c 'set work_mem to ~1MB~'"},
		{name: "query-unfit", args: "hathi query -r standby-leader -c 'select 1'"},
		{name: "query-nobody", args: "patronictl query -m nobody -c 'select 1'"},
		{name: "query-nobody-json", args: "patronictl query -m nobody -c 'select 1' --format json"},
		{name: "query-nobody-yaml", args: "hathi query -m nobody -c 'select 1' --format yaml"},
		{name: "query-both", args: "patronictl query -m node2 -r any -c 'select 1'"},
		{name: "query-two-sources", args: "patronictl query -f /dev/null -c 'select 1'"},
		{name: "query-no-sql", args: "patronictl query"},
		{name: "query-no-file", args: "patronictl query -f /no/such/file"},
		{name: "query-password", args: "patronictl query --password -c 'select current_user' -U postgres -d postgres", input: "secret-super\n"},
		{name: "query-wrong-password", args: "patronictl query --password -c 'select 1'", input: "wrong\n"},
		{name: "query-unknown-format", args: "patronictl query -c 'select 1' --format xml"},
	}
}
