#!/usr/bin/env bash
# Tells the article's story with the real container engine: make docker-test. Needs Docker and compose, and
# root for debootstrap if the base image is not there yet.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Any free port of the host will do.
export NODE1_POSTGRES_PORT=0 NODE1_REST_PORT=0 NODE2_POSTGRES_PORT=0 NODE2_REST_PORT=0

compose() { if docker compose version >/dev/null 2>&1; then docker compose -f docker/compose.yml "$@"; else docker-compose -f docker/compose.yml "$@"; fi; }
fail() { echo "FAIL: $*" >&2; docker logs node1 2>&1 | tail -40 >&2; docker logs node2 2>&1 | tail -40 >&2; exit 1; }
# within SECONDS WHAT COMMAND...: until the command succeeds
within() { local end=$((SECONDS + $1)) what=$2; shift 2; until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || fail "no $what"; sleep 0.2; done; echo "ok: $what"; }
sql() { docker exec "$1" psql -U postgres -d postgres -Atc "$2"; }
lists() { docker exec "$1" hathi list | grep -Eq "$2"; }
rows() { [ "$(sql "$1" 'SELECT count(*) FROM employees')" = "$2" ]; }
recovering() { [ "$(sql "$1" 'SELECT pg_is_in_recovery()')" = "$2" ]; }
# answers CONTAINER PATH PATTERN: what the REST API says to the host
answers() { local port; port=$(docker port "$1" 8008/tcp | sed 's/.*://'); exec 3<>"/dev/tcp/127.0.0.1/$port" && printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3 && grep -q "$3" <&3; }
healthy() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$1")" = healthy ]; }

# The containers have fixed names, which a user's cluster may have, too; its volumes belong to another project.
export COMPOSE_PROJECT_NAME=hathi-docker-test
for name in etcd node1 node2; do
  if docker container inspect "$name" >/dev/null 2>&1; then
    echo "FAIL: there is a container $name already; stop and remove it first (docker rm -f $name), or run this elsewhere" >&2
    exit 1
  fi
done
trap 'compose down -v >/dev/null 2>&1' EXIT
compose up -d
within 90 "a leader and a streaming replica" sh -c 'docker exec node1 hathi list | grep -q "Leader .*running" && docker exec node1 hathi list | grep -q "Replica .*streaming"'
lists node1 '^\| node1 .*Leader' || docker exec node1 hathi switchover --force --candidate node1
within 30 "node1 as leader" lists node1 'node1 .*Leader .*running'
within 30 "node2 streaming" lists node1 'node2 .*Replica .*streaming'

within 10 "REST from outside: node1 is the primary" answers node1 / '"role": "primary"'
within 10 "REST from outside: node2 is a replica" answers node2 /replica '"role": "replica"'
within 30 "a healthy container node2" healthy node2
[ "$(docker exec node1 id -un)" = postgres ] || fail "node1 runs as root"
sql node1 "CREATE TABLE employees (id serial PRIMARY KEY, name text NOT NULL, role text NOT NULL, salary numeric(10,2))" >/dev/null
sql node1 "INSERT INTO employees (name, role, salary) VALUES ('saka', 'DBA', 100), ('yoko', 'Developer', 200)" >/dev/null
within 10 "both rows on node2" rows node2 2

docker stop node1 >/dev/null
within 20 "node2 as primary after docker stop node1" recovering node2 f
sql node2 "INSERT INTO employees (name, role, salary) VALUES ('nanasi', 'DevOps', 500)" >/dev/null
docker start node1 >/dev/null
within 60 "node1 back as a replica" lists node2 'node1 .*Replica .*streaming'
within 10 "three rows on node1" rows node1 3

docker exec node1 patronictl -c /etc/patroni.yml switchover demo-cluster --leader node2 --candidate node1 --force
within 30 "node1 as leader after the switchover" lists node1 'node1 .*Leader .*running'
within 60 "node2 streaming after the switchover" lists node1 'node2 .*Replica .*streaming'

docker stop etcd >/dev/null
within 60 "node1 read-only without etcd" recovering node1 t
rows node1 3 || fail "node1 can't be read without etcd"
docker start etcd >/dev/null
within 60 "a leader after etcd is back" lists node1 'Leader .*running'

docker kill node1 >/dev/null
within 90 "node2 as primary after docker kill node1" recovering node2 f
docker start node1 >/dev/null
within 60 "node1 back after the kill" lists node2 'node1 .*Replica .*streaming'
docker exec node2 hathi topology
docker exec node2 hathi history
# A process may end while it is looked at, and a zombie is one until it is reaped.
reaped() { ! docker exec node2 sh -c 'cat /proc/[0-9]*/stat 2>/dev/null; true' | awk '$3 == "Z" {found = 1} END {exit !found}'; }
within 10 "all that has ended in node2 is reaped" reaped
echo "ok: the whole story"
