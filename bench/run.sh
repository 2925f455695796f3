#!/usr/bin/env bash
# Measures the gateway beside nginx, nginx + Lua and haproxy, in interleaved rounds of one run.
#
#   make bench                        builds the release binary and measures everything
#   bench/run.sh [--write] [GROUP...] some of: proxy refusals verify workers latency memory keys;
#                                     --write puts the results into docs/benchmarks.md
#   KEYTOLL_BIN=… bench/run.sh        measures another binary
#   ROUNDS=8 SECONDS_EACH=3 KEYS=10000 CONNECTIONS=64 RATE=5000 KEY_SIZES="1000 1000000" bench/run.sh
#
# CPU per request is user and system time of a contestant's processes, all threads, over a round, divided by the
# requests answered as they should be. It does not depend on the load side; it does depend on the machine's speed in
# that minute, so ratios are formed within a round, and their median and extremes are printed. The proxies run on
# CPU 0, client and upstream on CPU 1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source bench/lib.sh

write=no groups=()
for word in "$@"; do
    if [ "$word" = --write ]; then write=yes; else groups+=("$word"); fi
done
[ ${#groups[@]} -gt 0 ] || groups=(proxy refusals verify workers latency memory keys)
rate=${RATE:-5000} key_sizes=${KEY_SIZES:-1000 10000 1000000}
rows=$dir/rows
: >"$rows"
row() { printf '| %s | %s | %s | %s |\n' "$@" | tee -a "$rows" >&2; } # row WHAT FIGURE MUST STRETCH
figure() { row "$1" "$2" "" ""; }

budget() { # prints about how many seconds the groups take
    local group total=30
    for group in "${groups[@]}"; do
        case $group in
        proxy) total=$((total + rounds * seconds * 7)) ;;
        verify | latency) total=$((total + rounds * seconds * 3)) ;;
        refusals | workers) total=$((total + rounds * seconds * 2 + 5)) ;;
        memory) total=$((total + 15)) ;;
        keys) total=$((total + rounds * seconds * $(wc -w <<<"$key_sizes") + 120)) ;;
        *) fail "no such group: $group" ;;
        esac
    done
    echo "$total"
}
run_proxy() {
    start_nginx nginx policy
    start_nginx nginx-plain plain
    start_nginx nginx-lua lua ndk_http_module.so ngx_http_lua_module.so
    start_haproxy
    local name
    for name in nginx nginx-lua haproxy policy; do check "$name"; done
    rounds_of proxy policy nginx haproxy nginx-lua plain nginx-plain direct
    row "full policy against nginx with map, \`limit_req\`, log" "$(ratio proxy policy nginx)" "≤ 1.00" "≤ 0.85"
    row "full policy against haproxy with sha2, map, stick table, log" "$(ratio proxy policy haproxy)" "≤ 0.75" "≤ 0.65"
    row "full policy against nginx + Lua with the same policy" "$(ratio proxy policy nginx-lua)" "≤ 0.55" "≤ 0.48"
    row "plain product against plain nginx" "$(ratio proxy plain nginx-plain)" "≤ 1.00" "≤ 0.90"
    row "full policy against plain product" "$(ratio proxy policy plain)" "≤ 1.15" "≤ 1.08"
    for name in policy plain nginx nginx-plain haproxy nginx-lua; do
        figure "$name: CPU µs a request; requests/s" "$(values proxy "$name"); $(values proxy "$name" 5 %.0f)"
    done
    figure "direct: requests/s" "$(values proxy direct 5 %.0f)"
    for name in nginx-lua haproxy nginx-plain nginx; do end "$name"; done
}
run_refusals() {
    rounds_of refusals policy policy:wrong
    row "refusals (unknown key) a second against granted calls a second" "$(ratio refusals policy-wrong policy 5)" "≥ 2" "≥ 3"
    figure "CPU of a granted call against that of a refusal" "$(ratio refusals policy policy-wrong)"
}
run_verify() {
    local round
    start_nginx nginx-return return
    token=$(keytoll policy token create --name bench --role verifier --json | member token)
    local auth=${url_of[policy-gateway]}/v1/auth/bench/parcels/1 post=${url_of[policy-gateway]}/v1/keys/verify
    wait_for_token "$auth"
    for round in $(seq "$rounds"); do
        measure verify "$round" nginx-return
        URL=$post measure verify "$round" policy verify
        URL=$auth measure verify "$round" policy auth
    done
    row "\`POST /v1/keys/verify\` (JSON) against nginx \`return 200\`" "$(ratio verify policy-verify nginx-return)" "≤ 1.35" "≤ 1.15"
    row "\`GET /v1/auth/{product}\` against nginx \`return 200\`" "$(ratio verify policy-auth nginx-return)" "≤ 1.10" "≤ 1.00"
    end nginx-return
}
wait_for_token() { # until the gateway knows the new token
    local tries=100 status
    while :; do
        status=$(curl -s -o /dev/null -w '%{http_code}' -H "X-Keytoll-Auth: $token" \
            -H "X-Api-Key: $(head -n 1 "$dir/keys")" "$1")
        [ "$status" != 200 ] || return 0
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "$1 answers $status"
        sleep 0.1
    done
}
run_workers() {
    local proxy_cpu=() load_cpu=() count
    for count in 1 2; do
        make_keytoll "workers$count" "$count" "$dir/keys"
        serve_keytoll "workers$count"
    done
    rounds_of workers workers1 workers2
    row "CPU a request with 2 workers against 1, nobody pinned" "$(ratio workers workers2 workers1)" "≤ 1.15" "≤ 1.05"
    figure "requests/s with 2 workers against 1" "$(ratio workers workers2 workers1 5)"
    figure "connections accepted by worker" "$(curl -s "${url_of[workers2-metrics]}" |
        sed -n 's/^keytoll_gateway_accepted_total{worker="\([0-9]*\)"} \(.*\)/\1: \2/p' | paste -sd ' ')"
    end workers1
    end workers2
}
run_latency() {
    local round name out count=$((rounds > 3 ? rounds : 3))
    start_nginx nginx policy
    local names=(policy nginx direct)
    for round in $(seq "$rounds"); do
        for name in "${names[@]}"; do
            out=$("${load_cpu[@]}" "$tool" open-loop --to "$(cut -d/ -f3 <<<"${url_of[$name]}")" \
                --path "/$(cut -d/ -f4- <<<"${url_of[$name]}")" --keys "$dir/keys" --rate "$rate" \
                --seconds "$seconds" --connections "$connections")
            awk -v r="$round" -v n="$name" '{ for (i = 1; i < NF; i += 2) x[$i] = $(i + 1)
                if (x["bad"] > 0) exit 1
                printf "latency\t%s\t%s\t%s\t%s\t%s\t%s\n", r, n, x["p50"], x["p99"], x["p90"], x["max"] }' <<<"$out" |
                tee -a "$samples" >&2 || fail "$name: $out"
        done
        names=("${names[@]:1}" "${names[0]}")
    done
    row "p99 at $rate requests/s, open loop, against nginx" "$(ratio latency policy nginx 5)" "≤ 1.0" "≤ 0.95"
    row "p50 added over direct, µs" "$(difference latency policy direct 4)" "≤ 65" "≤ 55"
    for name in policy nginx direct; do
        figure "$name: p50, p99 at $rate requests/s, µs" "$(values latency "$name" 4 %.0f), $(values latency "$name" 5 %.0f)"
    done
    end nginx
}
run_memory() {
    local client
    make_keytoll memory 1 "$dir/keys"
    serve_keytoll memory --role gateway
    (seconds=6 && measure memory 0 memory) &
    client=$!
    sleep 5
    row "RssAnon of \`serve --role gateway\`, $keys keys, $connections connections, MiB" \
        "$(memory memory RssAnon | awk '{ printf "%.1f", $1 / 1024 }')" "≤ 32" "≤ 20"
    wait "$client"
    end memory
}
run_keys() {
    local size sizes name first="" contestants=() list
    read -ra sizes <<<"$key_sizes"
    declare -A anonymous
    for size in "${sizes[@]}"; do
        name=keys$size list=$dir/list$size
        "$tool" keys "$size" >"$list"
        SECONDS=0
        make_keytoll "$name" 1 "$list"
        say "$size keys imported in $SECONDS s"
        awk -v step=$((size > 10000 ? size / 10000 : 1)) 'NR % step == 0' "$list" >"$list.active"
        rm "$list"
        serve_keytoll "$name"
        sleep 2
        anonymous[$size]=$(memory "$name" RssAnon)
        [ "$size" != 1000000 ] || row "start with 1 M keys until \`/healthz\` answers, s" \
            "$(awk -v ms="$start_ms" 'BEGIN { printf "%.1f", ms / 1000 }')" "≤ 5" "≤ 2"
        contestants+=("$name")
    done
    local round
    for round in $(seq "$rounds"); do
        for name in "${contestants[@]}"; do KEYS_LIST=$dir/list${name#keys}.active measure keys "$round" "$name"; done
    done
    first=${sizes[0]}
    for size in "${sizes[@]:1}"; do
        row "CPU a request with $size keys against $first" "$(ratio keys "keys$size" "keys$first")" "≤ 1.10" "≤ 1.05"
        row "RssAnon per idle key, $size keys less $first, bytes" "$(awk -v a="${anonymous[$size]}" -v b="${anonymous[$first]}" \
            -v n=$((size - first)) 'BEGIN { printf "%.0f", (a - b) * 1024 / n }')" "≤ 200" "≤ 140"
    done
    for name in "${contestants[@]}"; do end "$name"; done
}

report() {
    local version
    echo "Machine: $(nproc) CPUs, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)," \
        "Linux $(uname -r); $(nginx -v 2>&1 | sed 's/.*: //')," \
        "lua module $(dpkg-query -W -f '${Version}' libnginx-mod-http-lua 2>/dev/null)," \
        "$(haproxy -v | sed -n '1s/^HAProxy version \([^ ]*\).*/haproxy \1/p')," \
        "$(wrk -v 2>&1 | sed -n '1s/^\(wrk [^ ]*\).*/\1/p'), $(rustc --version | cut -d' ' -f1,2)."
    echo
    version=$(git describe --always --dirty 2>/dev/null || echo unknown)
    echo "Taken on $(date -u +%Y-%m-%d) at $version with \`ROUNDS=$rounds SECONDS_EACH=$seconds KEYS=$keys" \
        "CONNECTIONS=$connections bench/run.sh ${groups[*]}\`: medians (lowest to highest) of $rounds rounds of $seconds s."
    echo "Ratios are of CPU per request unless they say otherwise."
    echo
    printf '| what | figure | must | stretch |\n|---|---|---|---|\n'
    cat "$rows"
}
put_into_docs() { # replaces what is between the markers
    local page=docs/benchmarks.md new
    new=$(mktemp)
    awk -v report="$here/out/results.md" '
        /<!-- figures:end -->/ { skip = 0 }
        !skip { print }
        /<!-- figures:begin -->/ { skip = 1; while ((getline line < report) > 0) print line }' "$page" >"$new"
    cat "$new" >"$page"
    rm "$new"
}

say "about $(budget) s for: ${groups[*]}"
prepare
make_keys
start_upstream
make_keytoll policy 1 "$dir/keys"
make_keytoll plain 1 /dev/null
url_of[plain]=${url_of[plain-open]}
serve_keytoll policy
serve_keytoll plain
for group in "${groups[@]}"; do "run_$group"; done
mkdir -p bench/out
report >bench/out/results.md
cp "$samples" bench/out/samples.tsv
cat bench/out/results.md
[ "$write" = no ] || put_into_docs
