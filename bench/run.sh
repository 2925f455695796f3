#!/usr/bin/env bash
# CPU per request against nginx with the same job, in interleaved rounds of one run.
#
#   make bench                    builds the release binary and measures it
#   KEYTOLL_BIN=… bench/run.sh    measures another binary
#   ROUNDS=5 SECONDS_EACH=8 KEYS=1000 CONNECTIONS=64 WORKERS=1 bench/run.sh
#
# CPU per request is user and system time of a contestant's processes over a round, divided by the answers 200. It
# does not depend on the load side; it does depend on the machine's speed in that minute, so only the ratio within
# a round counts, and the median of the ratios is printed. Needs nginx, wrk and curl.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

rounds=${ROUNDS:-5} seconds=${SECONDS_EACH:-8} keys=${KEYS:-1000} connections=${CONNECTIONS:-64}
workers=${WORKERS:-1}
PATH=$PATH:/usr/sbin
for tool in nginx wrk curl; do
    command -v "$tool" >/dev/null || { echo "bench: $tool is needed: apt-get install nginx-light wrk curl" >&2; exit 1; }
done
if [ -z "${KEYTOLL_BIN:-}" ]; then
    KEYTOLL_BIN=$(cargo build --release --locked -p keytoll --message-format=json-render-diagnostics |
        grep '"kind":\["bin"\]' | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
fi
here=$PWD/bench
dir=$(mktemp -d "${TMPDIR:-/tmp}/keytoll-bench.XXXXXX")
pids=()
clean_up() {
    trap - EXIT
    for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

port() {
    local port
    while :; do
        port=$((12000 + RANDOM % 8000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}
wait_for() { # wait_for URL: until it answers anything, at most 30 s
    local tries=300
    until curl -s -o /dev/null "$1"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "bench: $1 does not answer" >&2; tail "$dir"/*.log >&2; exit 1; }
        sleep 0.1
    done
}
start_nginx() { # start_nginx NAME WORKERS BODY: sets `started`
    local config
    config=$(<"$here/nginx.conf")
    config=${config//@BODY@/$3}
    config=${config//@NAME@/$1}
    config=${config//@WORKERS@/$2}
    config=${config//@DIR@/$dir}
    printf '%s\n' "$config" >"$dir/$1.conf"
    nginx -p "$dir" -c "$dir/$1.conf" >"$dir/$1.log" 2>&1 &
    started=$!
    pids+=("$started")
}

# Keys of the form that Keytoll makes, the same for both.
for _ in $(seq "$keys"); do
    printf 'sk_live_%s\n' "$(head -c 64 /dev/urandom | base64 -w0 | tr -dc 'A-Za-z0-9' | head -c 43)"
done >"$dir/keys"
sed 's/.*/"&" "&";/' "$dir/keys" >"$dir/keys.map"

upstream=$(port)
start_nginx upstream 1 "access_log off; server { listen 127.0.0.1:$upstream backlog=4096;
  location / { default_type application/json; return 200 '{\"id\":\"1\",\"state\":\"delivered\"}'; } }"
wait_for "http://127.0.0.1:$upstream/"

peer=$(port)
start_nginx peer "$workers" "map_hash_max_size 65536; map_hash_bucket_size 128;
  map \$http_x_api_key \$partner { default ''; include $dir/keys.map; }
  limit_req_zone \$partner zone=keys:20m rate=50000r/s;
  limit_req_status 429;
  log_format calls '\$msec \$partner \$request_method \$uri \$status \$body_bytes_sent \$request_time';
  access_log $dir/peer.access calls buffer=64k flush=1s;
  upstream api { server 127.0.0.1:$upstream; keepalive 256; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:$peer backlog=4096;
    location / {
      if (\$partner = '') { return 401; }
      limit_req zone=keys burst=5000 nodelay;
      proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection '';
      proxy_set_header X-Api-Key ''; proxy_set_header X-Consumer-Id \$partner;
    } }"
peer_pid=$started

gateway=$(port) portal=$(port)
cat >"$dir/keytoll.toml" <<TOML
data_dir = "$dir/data"
[gateway]
listen = "127.0.0.1:$gateway"
workers = $workers
[portal]
listen = "127.0.0.1:$portal"
TOML
printf '%s' '{"openapi":"3.1.0","info":{"title":"Bench","version":"1"},
  "paths":{"/parcels/{id}":{"get":{"responses":{"200":{"description":"Found"}}}}}}' >"$dir/bench.json"
cat >"$dir/catalog.yaml" <<YAML
currency: USD
products:
  - {id: bench, spec: ./bench.json, upstream: "http://127.0.0.1:$upstream", key_from: [header]}
plans:
  - {id: bench, products: [bench], price_monthly: "1", limits: {second: 1000000, minute: 60000000},
     quota: {calls: 1000000000000, hard: true}}
YAML
keytoll() { (cd "$dir" && "$KEYTOLL_BIN" "$@" --config keytoll.toml); }
id() { sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' | head -n 1; }
keytoll apply catalog.yaml >/dev/null
partner=$(keytoll partner create --name Bench --email bench@example.test --json | id)
subscription=$(keytoll subscribe --partner "$partner" --plan bench --json | id)
keytoll keys import --subscription "$subscription" "$dir/keys" >/dev/null
(cd "$dir" && exec "$KEYTOLL_BIN" serve --config keytoll.toml) >"$dir/keytoll.log" 2>&1 &
ours_pid=$!
pids+=("$ours_pid")
wait_for "http://127.0.0.1:$gateway/healthz"

for url in "http://127.0.0.1:$peer/parcels/1" "http://127.0.0.1:$gateway/bench/parcels/1"; do
    good=$(curl -s -o /dev/null -w '%{http_code}' -H "X-Api-Key: $(head -n 1 "$dir/keys")" "$url")
    bad=$(curl -s -o /dev/null -w '%{http_code}' -H 'X-Api-Key: wrong' "$url")
    [ "$good $bad" = "200 401" ] || { echo "bench: $url answers $good and $bad, not 200 and 401" >&2; exit 1; }
done

ticks() { # ticks PID: user and system time of a process and its children
    local pid sum=0 own
    for pid in "$1" $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
        own=$(sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }')
        sum=$((sum + own))
    done
    echo "$sum"
}
hz=$(getconf CLK_TCK)
measure() { # measure PID URL: sets `cpu` (microseconds a request) and `rate`
    local before after out requests errors
    before=$(ticks "$1")
    out=$(KEYS_FILE="$dir/keys" wrk -t 1 -c "$connections" -d "${seconds}s" -s "$here/keys.lua" "$2")
    after=$(ticks "$1")
    requests=$(awk '/requests in/ { print $1 }' <<<"$out")
    errors=$(awk '/Non-2xx/ { print $NF }' <<<"$out")
    requests=$((requests - ${errors:-0}))
    cpu=$(awk -v t=$((after - before)) -v hz="$hz" -v n="$requests" 'BEGIN { printf "%.2f", t / hz * 1e6 / n }')
    rate=$((requests / seconds))
}

printf '%-6s %14s %14s %8s %12s %12s\n' round 'nginx us/req' 'keytoll us/req' ratio 'nginx req/s' 'keytoll req/s'
ratios=()
for round in $(seq "$rounds"); do
    measure "$peer_pid" "http://127.0.0.1:$peer/parcels/1"
    peer_cpu=$cpu peer_rate=$rate
    measure "$ours_pid" "http://127.0.0.1:$gateway/bench/parcels/1"
    ratio=$(awk -v a="$cpu" -v b="$peer_cpu" 'BEGIN { printf "%.3f", a / b }')
    ratios+=("$ratio")
    printf '%-6s %14s %14s %8s %12s %12s\n' "$round" "$peer_cpu" "$cpu" "$ratio" "$peer_rate" "$rate"
done
echo "median ratio of CPU per request, nginx = 1.00:" \
    "$(printf '%s\n' "${ratios[@]}" | sort -n | sed -n "$(((rounds + 1) / 2))p")"
echo "keytoll resident memory: $(awk '/VmRSS/ { print $2, $3 }' "/proc/$ours_pid/status") with $keys keys"
