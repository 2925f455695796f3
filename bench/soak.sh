#!/usr/bin/env bash
# Full load with faults on both sides, and afterwards: has anything grown, and do the books agree?
#
#   bench/soak.sh                        10 minutes
#   SOAK_SECONDS=60 CONNECTIONS=64 KEYS=10000 FAULTS=100 KEYTOLL_BIN=… bench/soak.sh
#
# FAULTS of 10 000 answers of the upstream are a 500, an end or a reset instead of an answer, a body that is too short,
# or half a head; as many requests are given up by their client. Every 10 s the process' memory and open descriptors
# are read. Fails if one of them still grows after the first third, or unless
#   ledger's calls − never sent + retries = requests that the upstream saw.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source bench/lib.sh

soak_seconds=${SOAK_SECONDS:-600} faults=${FAULTS:-100} step=${SAMPLE_SECONDS:-10}
# Growth that counts as noise, per minute.
growth_max_kib=512 growth_max_descriptors=2
# Fewer samples than this show no growth, whatever they are.
samples_min=10

settled() { # until the ledger's calls stay the same for a second, at most 60 s
    local before="" now tries=60
    while :; do
        now=$(metric never_sent)$(metric upstream_retries)$(upstream_count)
        if [ "$now" = "$before" ] || [ "$tries" -le 0 ]; then return; fi
        before=$now
        tries=$((tries - 1))
        sleep 1
    done
}
metric() { curl -s "${url_of[soak-metrics]}" | sed -n "s/^keytoll_gateway_$1_total //p"; }
sample() { # adds: seconds, VmRSS and RssAnon in KiB, open descriptors
    printf '%s\t%s\t%s\t%s\n' "$1" "$(memory soak VmRSS)" "$(memory soak RssAnon)" \
        "$(find "/proc/${pid_of[soak]}/fd" -mindepth 1 2>/dev/null | wc -l)" | tee -a "$samples"
}
growth() { # growth COLUMN: least squares over the samples after the first third, a minute, and twice its standard error
    awk -F'\t' -v c="$1" -v from=$((soak_seconds / 3)) '
        $1 >= from { n++; x = $1 / 60; y = $c; sx += x; sy += y; sxx += x * x; sxy += x * y; syy += y * y }
        END {
            d = n * sxx - sx * sx
            if (n < 3 || d <= 0) { print "0.0 0.0"; exit }
            slope = (n * sxy - sx * sy) / d
            rest = syy - sy * sy / n - slope * slope * d / n
            printf("%.1f %.1f\n", slope, 2 * sqrt((rest > 0 ? rest : 0) / (n - 2) * n / d))
        }' "$samples"
}
judge() { # judge WHAT COLUMN MOST: it grows if it does by more than MOST even where chance took off twice its error
    local grown error
    read -r grown error < <(growth "$2")
    if awk -v a="$grown" -v e="$error" -v b="$3" 'BEGIN { exit !(a - e > b) }'; then
        if [ "$(wc -l <"$samples")" -lt "$samples_min" ]; then
            echo "$1: $grown ± $error a minute, but the run is too short to judge"
        else
            echo "$1: FAILED: grows by $grown ± $error a minute, at most $3 is noise"
            failed=1
        fi
    else
        echo "$1: $grown ± $error a minute (at most $3)"
    fi
}

prepare
make_keys
start_upstream --faults "$faults"
make_keytoll soak 1 "$dir/keys"
serve_keytoll soak
address=$(cut -d/ -f3 <<<"${url_of[soak]}")
"${load_cpu[@]}" "$tool" soak --to "$address" --path /bench/parcels/1 --keys "$dir/keys" \
    --seconds "$soak_seconds" --connections "$connections" --drops "$faults" >"$dir/client" 2>&1 &
client=$!
pids+=("$client")
echo "seconds, resident KiB, anonymous KiB, descriptors"
for second in $(seq "$step" "$step" "$((soak_seconds - 1))"); do
    sleep "$step"
    sample "$second"
done
wait "$client" || fail "the client: $(cat "$dir/client")"
settled
sleep 2
never_sent=$(metric never_sent) retries=$(metric upstream_retries) seen=$(upstream_count)
ledger=$(keytoll soak usage export --from "$(date -u -d yesterday +%F)" --to "$(date -u -d tomorrow +%F)" --format csv |
    tail -n +2 | wc -l)
failed=0
echo "client: $(cat "$dir/client")"
judge "resident memory, KiB" 2 "$growth_max_kib"
judge "anonymous memory, KiB" 3 "$growth_max_kib"
judge "open descriptors" 4 "$growth_max_descriptors"
sum=$((ledger - never_sent + retries))
echo "ledger $ledger − never sent $never_sent + retries $retries = $sum; the upstream saw $seen"
if [ "$sum" -ne "$seen" ]; then
    echo "books: FAILED: they differ by $((sum - seen))"
    failed=1
fi
[ "$failed" -eq 0 ] && echo "soak: passed"
