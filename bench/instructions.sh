#!/usr/bin/env bash
# Counts the instructions of a decision and of a call, and fails if there are more than instructions.toml allows.
#
#   bench/instructions.sh             compares
#   bench/instructions.sh --accept    writes what it counted into instructions.toml
#
# Instructions in user space, not time: they hardly depend on the machine's load. Each kind runs twice, and the
# difference is divided by the calls that the second run has more; so neither start nor end counts. The thread that
# took most of it counts, which is the gateway's worker; what other threads do for a call, such as sealing, does not.
# The last line is `instructions: N passed, N failed`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

short=500 long=2500
bounds=bench/instructions.toml
command -v valgrind >/dev/null || { echo "instructions: valgrind is needed: apt-get install valgrind" >&2; exit 1; }
# Our crates are built as a release builds them but for link-time optimisation. The registry's stay as the tests have
# them, so that nothing is built for this alone that the tests need too: a guard watches what we add, not them.
guard=$(CARGO_PROFILE_DEV_OPT_LEVEL=3 CARGO_PROFILE_DEV_DEBUG_ASSERTIONS=false \
    CARGO_PROFILE_DEV_OVERFLOW_CHECKS=false CARGO_PROFILE_DEV_INCREMENTAL=false \
    cargo build --workspace --locked --bin keytoll-guard --message-format=json-render-diagnostics |
    grep '"name":"keytoll-guard"' | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
dir=$(mktemp -d "${TMPDIR:-/tmp}/keytoll-instructions.XXXXXX")
trap 'rm -rf "$dir"' EXIT

run() { # run KIND CALLS: each thread's instructions are in a file of its own
    local out=$dir/$1.$2
    TMPDIR=$dir valgrind -q --tool=callgrind --separate-threads=yes --callgrind-out-file="$out" \
        "$guard" "$1" "$2" >"$dir/log" 2>&1 || { cat "$dir/log" >&2; return 1; }
}
total() { sed -n 's/^totals: //p' "$1"; }
busiest() { # busiest KIND: what the longer run took more, of the thread that has most of it
    local thread
    run "$1" "$short"
    run "$1" "$long"
    for thread in "$dir/$1.$long"-*; do
        echo $(($(total "$thread") - $(total "$dir/$1.$short-${thread##*-}")))
    done | sort -n | tail -n 1
}
value() { sed -n "s/^$1 = \([0-9]*\)$/\1/p" "$bounds"; }

tolerance=$(value tolerance_percent)
passed=0 failed=0
for kind in $(sed -n '/^\[instructions\]/,$ s/^\([a-z]*\) = .*/\1/p' "$bounds"); do
    count=$(($(busiest "$kind") / (long - short)))
    bound=$(value "$kind")
    if [ "${1:-}" = --accept ]; then
        sed -i "s/^$kind = .*/$kind = $count/" "$bounds"
        echo "instructions: $kind = $count, was $bound"
    elif [ $((count * 100)) -gt $((bound * (100 + tolerance))) ]; then
        failed=$((failed + 1))
        echo "instructions: $kind takes $count, more than $bound + $tolerance %." \
            "If that is worth it: bench/instructions.sh --accept, and say in the commit why." >&2
    else
        passed=$((passed + 1))
        hint=""
        if [ $((count * 100)) -lt $((bound * (100 - tolerance))) ]; then hint=", lower the bound"; fi
        echo "instructions: $kind takes $count of $bound$hint"
    fi
done
echo "instructions: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
