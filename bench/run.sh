#!/usr/bin/env bash
# Speed against nginx in the same run: `make bench`.
#
# Not there yet: this states what will be measured, and fails, so that nobody takes silence for a result.
set -euo pipefail
echo "bench: no measurement yet; see docs/benchmarks.md for what is to come" >&2
exit 1
