#!/usr/bin/env bash
# Runs a command with a PostgreSQL and a Redis of its own:
#
#   tests/services.sh COMMAND [ARGUMENT...]
#
# Both listen on free loopback ports, keep their files in a temporary folder, and are ended by their
# process ids when the command ends, fails or is interrupted. The command finds them in
# KEYTOLL_TEST_POSTGRES and KEYTOLL_TEST_REDIS.
set -euo pipefail

dir=$(mktemp -d "${TMPDIR:-/tmp}/keytoll-services.XXXXXX")
chmod 755 "$dir"
postgres_pid="" redis_pid="" command_pid=""

stop() { # stop SIGNAL PID
    [ -n "$2" ] || return 0
    kill "-$1" "$2" 2>/dev/null || return 0
    wait "$2" 2>/dev/null || true
}
clean_up() {
    trap - EXIT INT TERM
    stop TERM "$command_pid"
    stop TERM "$redis_pid"
    stop INT "$postgres_pid" # INT is PostgreSQL's fast shutdown: it does not wait for clients.
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
free_port() { # below the kernel's ephemeral range, so that no outgoing connection takes it meanwhile
    local port
    while :; do
        port=$((12000 + RANDOM % 8000))
        if ! in_use "$port"; then
            echo "$port"
            return
        fi
    done
}
wait_for() { # wait_for PID CHECK...: until the check passes, while the process lives, at most 30 s
    local pid=$1 tries=300
    shift
    until "$@" >/dev/null 2>&1; do
        kill -0 "$pid" 2>/dev/null || return 1
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}
fail() {
    echo "services: $1 did not start:" >&2
    tail -n 20 "$2" >&2
    exit 1
}

# PostgreSQL refuses to run as root; Debian's package brings a user for it.
as_user=()
if [ "$(id -u)" -eq 0 ]; then
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    as_user=(setpriv "--reuid=$user" "--regid=$(id -gn "$user")" --clear-groups env HOME="$dir")
fi
bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
mkdir "$dir/postgres" "$dir/redis"
if [ ${#as_user[@]} -gt 0 ]; then chown "$user" "$dir/postgres"; fi

(cd "$dir" && "${as_user[@]}" "$bin/initdb" -D "$dir/postgres/data" -U keytoll --auth=trust \
    --no-sync --encoding=UTF8 --locale=C >"$dir/initdb.log" 2>&1) || fail initdb "$dir/initdb.log"

for attempt in 1 2 3; do
    port=$(free_port)
    (cd "$dir" && exec "${as_user[@]}" "$bin/postgres" -D "$dir/postgres/data" -p "$port" -h 127.0.0.1 \
        -k "$dir/postgres" -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
        -c max_connections=300 >"$dir/postgres.log" 2>&1) &
    postgres_pid=$!
    if wait_for "$postgres_pid" "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" -U keytoll; then break; fi
    stop INT "$postgres_pid"
    postgres_pid=""
    [ "$attempt" -lt 3 ] || fail postgres "$dir/postgres.log"
done
"$bin/createdb" -h 127.0.0.1 -p "$port" -U keytoll keytoll
export KEYTOLL_TEST_POSTGRES="postgres://keytoll@127.0.0.1:$port/keytoll"

for attempt in 1 2 3; do
    port=$(free_port)
    (cd "$dir" && exec redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no \
        --dir "$dir/redis" >"$dir/redis.log" 2>&1) &
    redis_pid=$!
    if wait_for "$redis_pid" redis-cli -h 127.0.0.1 -p "$port" ping; then break; fi
    stop TERM "$redis_pid"
    redis_pid=""
    [ "$attempt" -lt 3 ] || fail redis-server "$dir/redis.log"
done
export KEYTOLL_TEST_REDIS="redis://127.0.0.1:$port"

# In the background, so that a signal reaches the traps at once and not after the command.
"$@" <&0 &
command_pid=$!
status=0
wait "$command_pid" || status=$?
command_pid=""
exit "$status"
