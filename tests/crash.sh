#!/usr/bin/env bash
# Kill recordings at random moments and look whether anything durable was lost. Ends with exit status 1 and the round's numbers if
# so. Built where tests/run.sh builds.
#
# usage: crash.sh [ROUNDS [SEED]]
#
# 600 rounds, about a quarter of an hour, unless told otherwise. The same seed draws the same rounds again; the moments differ.
set -euo pipefail

if (( $# > 2 )) || [[ ${1-} == -* ]]; then
    sed -n '5p' "$0" | cut -c3- >&2
    exit 2
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build-tests
. "$root/apps/packages.sh"

install_missing "${build_packages[@]}" "${test_packages[@]}"
if [[ ! -f $build/build.ninja ]]; then
    meson setup "$build" "$root" -Doptimization=1 -Ddebug=false -Dtests=enabled
fi
ninja -C "$build" tests/avstore_tests
AVSTORE_TEST_FULL=1 AVSTORE_CRASH_ROUNDS=${1:-600} AVSTORE_TEST_SEED=${2:-$RANDOM} "$build/tests/avstore_tests" \
    --filenames-as-tags "[#crash_test]"
