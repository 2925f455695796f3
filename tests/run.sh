#!/usr/bin/env bash
# Runs the layers of the test suite and adds up their numbers.
#
#   tests/run.sh                   everything, in the order below
#   tests/run.sh LAYER...          some of: lint unit instructions cases blackbox
#
# lint          rustfmt and clippy, warnings are errors
# unit          tests inside the crates, those of the store on both engines, and documentation examples
# instructions  what a decision and a call may cost, counted by callgrind (bench/instructions.sh)
# cases         case files as data: one line `FILE: N passed, N failed, N not offered` each
# blackbox      the built binary over real sockets, with PostgreSQL, Redis and a browser
#
# All cargo calls select the whole workspace, so that features are resolved once and nothing is built
# twice (`instructions` builds our own crates once more, optimised). The last line is `N passed, N failed`
# over all layers; the exit status is 0 if none failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# -gt 0 ]; then layers=("$@"); else layers=(lint unit instructions cases blackbox); fi

needs_services() { [[ " ${layers[*]} " =~ \ (unit|blackbox)\  ]]; }
if needs_services && [ -z "${KEYTOLL_TEST_POSTGRES:-}" ]; then
    tests/setup.sh
    exec tests/services.sh tests/run.sh "${layers[@]}"
fi

export CARGO_TERM_COLOR=never
log=$(mktemp "${TMPDIR:-/tmp}/keytoll-test.XXXXXX")
trap 'rm -f "$log"' EXIT
summary=()
total_passed=0
total_failed=0

record() { # record LAYER PASSED FAILED [REMARK]
    summary+=("$(printf '%-12s %s passed, %s failed%s' "$1" "$2" "$3" "${4:+ ($4)}")")
    total_passed=$((total_passed + $2))
    total_failed=$((total_failed + $3))
}
run() { # run COMMAND...: shows and keeps the output, sets `status`
    status=0
    "$@" 2>&1 | tee -a "$log" || status=$?
}
sum() { # sum REGEX: adds up the first group of all lines of the log that match
    sed -nE "s/$1/\1/p" "$log" | awk '{ n += $1 } END { print n + 0 }'
}
libtest_counts() { # sets passed and failed; a run that broke without saying so is one failure
    passed=$(sum '^test result: [^.]*\. ([0-9]+) passed.*')
    failed=$(sum '^test result: [^.]*\. [0-9]+ passed; ([0-9]+) failed.*')
    if [ "$broken" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
}
case_line=': [0-9]+ passed, [0-9]+ failed, [0-9]+ not offered$'
target_flags() { # target_flags PATTERN: --test NAME for the integration tests of the product crates
    local file
    for file in crates/*/tests/$1.rs; do
        if [ -e "$file" ]; then printf -- '--test %s ' "$(basename "$file" .rs)"; fi
    done
}
# One build serves every test of the binary, wherever cargo puts it.
build_binary() {
    [ -z "${KEYTOLL_BIN:-}" ] || return 0
    local line
    line=$(cargo build --workspace --locked --bins --tests --message-format=json-render-diagnostics |
        grep '"kind":\["bin"\]' | grep '"name":"keytoll"' | grep '"test":false' | tail -n 1)
    KEYTOLL_BIN=$(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' <<<"$line")
    [ -x "$KEYTOLL_BIN" ] || { echo "the binary was not built" >&2; return 1; }
    export KEYTOLL_BIN
}

run_lint() {
    local passed=0 failed=0 step
    for step in "cargo fmt --all --check" \
        "cargo clippy --workspace --all-targets --locked -- -D warnings"; do
        # shellcheck disable=SC2086
        run $step
        if [ "$status" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    done
    record lint "$passed" "$failed"
}
run_unit() {
    : >"$log"
    local broken=0 passed failed others
    others=$(cd crates && ls -d ./*/tests/*.rs 2>/dev/null | sed 's|.*/||; s|\.rs$||' | grep -v '^cases_' |
        sed 's/^/--test /' | tr '\n' ' ' || true)
    # shellcheck disable=SC2086
    run cargo test --workspace --locked --no-fail-fast --lib --bins $others
    [ "$status" -eq 0 ] || broken=1
    run cargo test --workspace --locked --no-fail-fast --doc
    [ "$status" -eq 0 ] || broken=1
    libtest_counts
    record unit "$passed" "$failed"
}
run_instructions() {
    : >"$log"
    local passed failed
    run bench/instructions.sh
    passed=$(sum '^instructions: ([0-9]+) passed, [0-9]+ failed$')
    failed=$(sum '^instructions: [0-9]+ passed, ([0-9]+) failed$')
    if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
    record instructions "$passed" "$failed"
}
run_cases() {
    : >"$log"
    local broken=0 passed failed skipped flags
    if ! build_binary; then record cases 0 1; return; fi
    flags=$(target_flags 'cases_*')
    if [ -n "$flags" ]; then
        # shellcheck disable=SC2086
        run cargo test --workspace --locked --no-fail-fast $flags -- --nocapture
        [ "$status" -eq 0 ] || broken=1
    fi
    run cargo test --workspace --locked --test blackbox -- --nocapture --test-threads=1 cases::
    [ "$status" -eq 0 ] || broken=1
    echo
    grep -E "$case_line" "$log" | sed -E 's/^test .* \.\.\. //' || true
    passed=$(sum '.*: ([0-9]+) passed, [0-9]+ failed, [0-9]+ not offered$')
    failed=$(sum '.*: [0-9]+ passed, ([0-9]+) failed, [0-9]+ not offered$')
    skipped=$(sum '.*: [0-9]+ passed, [0-9]+ failed, ([0-9]+) not offered$')
    if [ "$broken" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
    record cases "$passed" "$failed" "$skipped not offered"
}
run_blackbox() {
    : >"$log"
    local broken=0 passed failed
    if ! build_binary; then record blackbox 0 1; return; fi
    run cargo test --workspace --locked --test blackbox -- --skip cases::
    [ "$status" -eq 0 ] || broken=1
    libtest_counts
    record blackbox "$passed" "$failed"
}

for layer in "${layers[@]}"; do
    case $layer in
    lint | unit | instructions | cases | blackbox) "run_$layer" ;;
    *) echo "no such layer: $layer" >&2; exit 2 ;;
    esac
done

echo
printf '%s\n' "${summary[@]}"
echo "$total_passed passed, $total_failed failed"
[ "$total_failed" -eq 0 ]
