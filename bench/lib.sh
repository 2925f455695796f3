# Sourced by the scripts here: tools, contestants, measuring, and what is made of the measurements.
# shellcheck shell=bash
set -euo pipefail
PATH=$PATH:/usr/sbin

rounds=${ROUNDS:-8} seconds=${SECONDS_EACH:-3} keys=${KEYS:-10000} connections=${CONNECTIONS:-64}
here=$PWD/bench
dir=$(mktemp -d "${TMPDIR:-/tmp}/keytoll-bench.XXXXXX")
chmod 755 "$dir" # nginx' workers give up root.
samples=$dir/samples
: >"$samples"
pids=()
declare -A pid_of url_of
proxy_cpu=(taskset -c 0)
load_cpu=(taskset -c 1)

clean_up() {
    trap - EXIT
    local pid
    for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

fail() { echo "bench: $*" >&2; exit 1; }
say() { echo "bench: $*" >&2; }

need() { # need PACKAGE COMMAND-OR-FILE ...: installs with apt what is missing, as root
    local missing=()
    while [ $# -gt 0 ]; do
        if [ ! -e "$2" ] && ! command -v "$2" >/dev/null; then missing+=("$1"); fi
        shift 2
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || fail "these are needed: apt-get install --no-install-recommends ${missing[*]}"
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
}
built() { # built PACKAGE: builds its release binary, prints where it is
    cargo build --release --locked -p "$1" --message-format=json-render-diagnostics |
        grep '"kind":\["bin"\]' | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}
prepare() {
    need nginx-light nginx libnginx-mod-http-lua /usr/lib/nginx/modules/ngx_http_lua_module.so \
        lua-resty-core /usr/share/lua/5.1/resty/core.lua haproxy haproxy wrk wrk curl curl
    tool=$(built keytoll-bench)
    KEYTOLL_BIN=${KEYTOLL_BIN:-$(built keytoll)}
    [ -x "$KEYTOLL_BIN" ] && [ -x "$tool" ] || fail "the binaries were not built"
    ulimit -n "$(ulimit -Hn)"
}

# ------------------------------------------------------------------------------------------- contestants
port() {
    local port
    while :; do
        port=$((12000 + RANDOM % 8000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}
wait_for() { # wait_for URL: until it answers anything, at most 60 s
    local tries=1200
    until curl -s -o /dev/null "$1"; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then tail "$dir"/*.log >&2; fail "$1 does not answer"; fi
        sleep 0.05
    done
}
start() { # start NAME COMMAND...: in the background, its output in NAME.log
    local name=$1
    shift
    "$@" >"$dir/$name.log" 2>&1 &
    pid_of[$name]=$!
    pids+=("$!")
}
end() { # end NAME: stops it and waits until it has
    kill -TERM "${pid_of[$1]}"
    wait "${pid_of[$1]}" || true
    local pid kept=()
    for pid in "${pids[@]}"; do [ "$pid" = "${pid_of[$1]}" ] || kept+=("$pid"); done
    pids=("${kept[@]}")
}
fill() { # fill FILE NAME PORT: the file with its names filled in
    local text
    text=$(<"$1")
    text=${text//@NAME@/$2}
    text=${text//@PORT@/$3}
    text=${text//@UPSTREAM@/${upstream:-0}}
    text=${text//@WORKERS@/1}
    printf '%s\n' "${text//@DIR@/$dir}"
}
start_nginx() { # start_nginx NAME JOB [MODULE...]: JOB is a file in peers
    local name=$1 job=$2 port text modules=""
    shift 2
    for module in "$@"; do modules+="load_module /usr/lib/nginx/modules/$module;"; done
    port=$(port)
    text=$(fill "$here/peers/frame.conf" "$name" "$port")
    text=${text//@MODULES@/$modules}
    printf '%s\n' "${text//@JOB@/"$(fill "$here/peers/$job.conf" "$name" "$port")"}" >"$dir/$name.conf"
    start "$name" "${proxy_cpu[@]}" nginx -p "$dir" -c "$dir/$name.conf"
    url_of[$name]=http://127.0.0.1:$port/parcels/1
    wait_for "http://127.0.0.1:$port/"
}
start_haproxy() {
    local port
    port=$(port)
    fill "$here/peers/haproxy.cfg" haproxy "$port" >"$dir/haproxy.cfg"
    start haproxy "${proxy_cpu[@]}" haproxy -q -f "$dir/haproxy.cfg"
    url_of[haproxy]=http://127.0.0.1:$port/parcels/1
    wait_for "http://127.0.0.1:$port/"
}
start_upstream() { # start_upstream [OPTION...]: sets `upstream`
    upstream=$(port)
    start upstream "${load_cpu[@]}" "$tool" upstream --port "$upstream" "$@"
    url_of[direct]=http://127.0.0.1:$upstream/parcels/1
    pid_of[direct]=${pid_of[upstream]}
    wait_for "http://127.0.0.1:$upstream/-/count"
}
upstream_count() { curl -s "http://127.0.0.1:$upstream/-/count"; }

make_keys() { # the peers' lists of the same keys
    "$tool" keys "$keys" >"$dir/keys"
    "$tool" keys "$keys" 2 >"$dir/wrong"
    sed 's/.*/"&" "&";/' "$dir/keys" >"$dir/keys.map"
    local line number=0
    while read -r line; do
        number=$((number + 1))
        printf '%s %s\n' "$line" "$number"
    done < <(while read -r line; do printf '%s' "$line" | sha256sum; done <"$dir/keys" |
        cut -c1-64 | tr a-f A-F) >"$dir/keys.digests"
}
keytoll() { # keytoll NAME ARGUMENT...: a command of the installation NAME
    local name=$1
    shift
    (cd "$dir/$name" && "$KEYTOLL_BIN" "$@" --config keytoll.toml)
}
member() { sed -n 's/.*"'"$1"'": *"\([^"]*\)".*/\1/p' | head -n 1; }

make_keytoll() { # make_keytoll NAME WORKERS KEYS_FILE: an installation with two products, `bench` and `open`
    local name=$1 gateway portal metrics partner subscription
    gateway=$(port) portal=$(port) metrics=$(port)
    mkdir -p "$dir/$name"
    cat >"$dir/$name/keytoll.toml" <<TOML
data_dir = "$dir/$name/data"
[gateway]
listen = "127.0.0.1:$gateway"
workers = $2
[portal]
listen = "127.0.0.1:$portal"
[metrics]
listen = "127.0.0.1:$metrics"
TOML
    printf '%s' '{"openapi":"3.1.0","info":{"title":"Bench","version":"1"},
  "paths":{"/parcels":{"get":{"responses":{"200":{"description":"Found"}}}},
  "/parcels/{id}":{"get":{"responses":{"200":{"description":"Found"}}}}}}' >"$dir/$name/bench.json"
    cat >"$dir/$name/catalog.yaml" <<YAML
currency: USD
products:
  - {id: bench, spec: ./bench.json, upstream: "http://127.0.0.1:$upstream", key_from: [header]}
  - {id: open, spec: ./bench.json, upstream: "http://127.0.0.1:$upstream", key_from: []}
plans:
  - {id: bench, products: [bench], price_monthly: "1", limits: {second: 1000000, minute: 60000000},
     quota: {calls: 1000000000000, hard: true}}
YAML
    keytoll "$name" apply catalog.yaml >/dev/null
    partner=$(keytoll "$name" partner create --name Bench --email bench@example.test --json | member id)
    subscription=$(keytoll "$name" subscribe --partner "$partner" --plan bench --json | member id)
    split -l 20000 "$3" "$dir/$name/keys."
    local part
    for part in "$dir/$name"/keys.*; do
        [ -e "$part" ] || continue
        keytoll "$name" keys import --subscription "$subscription" "$part" >/dev/null
        rm "$part"
    done
    url_of[$name]=http://127.0.0.1:$gateway/bench/parcels/1
    url_of[$name-open]=http://127.0.0.1:$gateway/open/parcels/1
    url_of[$name-metrics]=http://127.0.0.1:$metrics/metrics
    url_of[$name-gateway]=http://127.0.0.1:$gateway
}
serve_keytoll() { # serve_keytoll NAME [OPTION...]: starts it, sets `start_ms`
    local name=$1 begun
    shift
    begun=$(date +%s%N)
    (cd "$dir/$name" && exec "${proxy_cpu[@]}" "$KEYTOLL_BIN" serve --config keytoll.toml "$@") \
        >"$dir/$name.log" 2>&1 &
    pid_of[$name]=$!
    pid_of[$name-open]=$!
    pids+=("$!")
    wait_for "${url_of[$name-gateway]}/healthz"
    start_ms=$((($(date +%s%N) - begun) / 1000000))
}
check() { # check NAME: grants a good key, refuses a wrong one
    local good bad
    good=$(curl -s -o /dev/null -w '%{http_code}' -H "X-Api-Key: $(head -n 1 "$dir/keys")" "${url_of[$1]}")
    bad=$(curl -s -o /dev/null -w '%{http_code}' -H "X-Api-Key: $(head -n 1 "$dir/wrong")" "${url_of[$1]}")
    [ "$good $bad" = "200 401" ] || fail "$1 answers $good and $bad, not 200 and 401"
}

# ------------------------------------------------------------------------------------------- measuring
hz=$(getconf CLK_TCK)
ticks() { # ticks PID: user and system time of a process with all its threads and children
    local pid sum=0 own
    for pid in "$1" $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
        own=$(sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }')
        sum=$((sum + own))
    done
    echo "$sum"
}
memory() { awk -v name="$2:" '$1 == name { print $2 }' "/proc/${pid_of[$1]}/status"; } # memory NAME FIELD, in KiB

# measure GROUP ROUND NAME [WHAT]: one run of wrk; WHAT is good (default), wrong, verify or auth. Adds a sample:
# group, round, name, CPU microseconds a request, requests a second.
measure() {
    local group=$1 round=$2 name=$3 what=${4:-good} before after out requests others url mode=call list=$dir/keys
    url=${url_of[$name]}
    case $what in
    wrong) list=$dir/wrong ;;
    verify | auth) mode=$what ;;
    esac
    [ -z "${KEYS_LIST:-}" ] || list=$KEYS_LIST
    before=$(ticks "${pid_of[$name]}")
    out=$(KEYS_FILE=$list MODE=$mode TOKEN=${token:-} "${load_cpu[@]}" wrk -t 1 -c "$connections" \
        -d "${seconds}s" -s "$here/wrk.lua" "${URL:-$url}")
    after=$(ticks "${pid_of[$name]}")
    requests=$(awk '/requests in/ { print $1 }' <<<"$out")
    others=$(awk '/Non-2xx/ { print $NF }' <<<"$out")
    if [ "$what" = wrong ]; then requests=${others:-0}; else requests=$((requests - ${others:-0})); fi
    [ "$requests" -gt 0 ] || fail "$name answered nothing as expected: $out"
    awk -v g="$group" -v r="$round" -v n="$name${4:+-$4}" -v t=$((after - before)) -v hz="$hz" -v q="$requests" \
        -v s="$seconds" 'BEGIN { printf "%s\t%s\t%s\t%.3f\t%.0f\n", g, r, n, t / hz * 1e6 / q, q / s }' |
        tee -a "$samples" >&2
}
# rounds_of GROUP CONTESTANT...: `name` or `name:what`, in another order each round.
rounds_of() {
    local group=$1 round index count one
    shift
    local all=("$@")
    count=${#all[@]}
    for round in $(seq "$rounds"); do
        for index in $(seq 0 $((count - 1))); do
            one=${all[$(((index + round) % count))]}
            if [[ $one == *:* ]]; then measure "$group" "$round" "${one%%:*}" "${one#*:}"; else measure "$group" "$round" "$one"; fi
        done
    done
}

# ------------------------------------------------------------------------------------------- figures
spread() { # numbers on stdin: median (lowest to highest)
    sort -g | awk -v f="${1:-%.2f}" '{ x[NR] = $1 } END { if (NR) { m = NR % 2 ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2
        printf f " (" f " to " f ")", m, x[1], x[NR] } else printf "no figure" }'
}
ratio() { # ratio GROUP A B [COLUMN]: A over B within each round; column 4 is CPU (default), 5 the rate
    awk -F'\t' -v g="$1" -v a="$2" -v b="$3" -v c="${4:-4}" '$1 == g && $3 == a { x[$2] = $c } $1 == g && $3 == b { y[$2] = $c }
        END { for (r in x) if (y[r] > 0) print x[r] / y[r] }' "$samples" | spread
}
values() { # values GROUP NAME [COLUMN [FORMAT]]
    awk -F'\t' -v g="$1" -v n="$2" -v c="${3:-4}" '$1 == g && $3 == n { print $c }' "$samples" | spread "${4:-%.1f}"
}
difference() { # difference GROUP A B COLUMN: A less B within each round
    awk -F'\t' -v g="$1" -v a="$2" -v b="$3" -v c="$4" '$1 == g && $3 == a { x[$2] = $c } $1 == g && $3 == b { y[$2] = $c }
        END { for (r in x) if (r in y) print x[r] - y[r] }' "$samples" | spread %.0f
}
