#!/usr/bin/env bash
# Feed damaged files to what reads them, under the address and undefined behaviour sanitizers: install what is missing, build with
# clang, make seeds of the golden stores, and run each target of tests/fuzz for a while, two at a time.
#
# usage: fuzz.sh [SECONDS [TARGET...]]
#
# SECONDS is how long each target runs (default: 60), TARGET the name of one (default: all). What is made lies in build-fuzz: the
# corpus of each target, from which the next run goes on, its log, and in findings the files that broke something; a target's program
# given such a file repeats it. Seeds come from data/fuzz, from data/golden, and from the folder of stores that the environment variable
# AVSTORE_GOLDEN names. FUZZ_BUILD names another folder than build-fuzz.
# The last line printed is `N passed, N failed, N skipped`; the exit status is 1 if anything was found.
set -euo pipefail

usage() {
    sed -n '5p' "$0" | cut -c3- >&2
    exit 2
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${FUZZ_BUILD:-$root/build-fuzz}
. "$root/apps/packages.sh"

# The largest input of each target, in bytes: beyond a few pages or records more of the same tells nothing new.
declare -A most=([npy]=4096 [npz]=16384 [bpk]=16384 [metadata]=8192 [extra]=8192 [index]=32768 [media]=8192 [import]=8192 [raw]=4096
    [rig]=4096 [csv]=2048 [commands]=1024)
# The most that may be asked for at once, in MB. SQLite (3.40) asks for what a row claims, 2 GB at most, before it sees that the
# file has not as much; that memory is given back untouched. So does the raw stream with a frame, 1 GB at most.
declare -A greed=([npy]=64 [npz]=64 [bpk]=64 [metadata]=64 [extra]=64 [index]=2100 [media]=512 [import]=512 [raw]=1100 [rig]=64 [csv]=64
    [commands]=2100)
# The slowest first.
targets=(commands import media index npz metadata rig npy bpk extra raw csv)

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || usage
if (( $# > 1 )); then
    targets=("${@:2}")
    for target in "${targets[@]}"; do
        [[ -n ${most[$target]-} ]] || usage
    done
fi

# fuzz TARGET: prints its line; what it found is in findings.
fuzz() {
    local target=$1 folder status=0 log=$build/$1.log corpus=$build/corpus/$1
    local findings=$build/findings/$1-
    mkdir -p "$corpus"
    local seeds=()
    for folder in "$build/seeds/$target" "$root/data/fuzz/$target"; do
        [[ ! -d $folder ]] || seeds+=("$folder")
    done
    # A slow or greedy reader is a finding: 10 s for an input, much asked for at once, 768 MB in all.
    TMPDIR=$scratch "$build/tests/fuzz_$target" -max_total_time="$seconds" -max_len="${most[$target]}" -timeout=10 \
        -malloc_limit_mb="${greed[$target]}" -rss_limit_mb=768 -print_final_stats=1 -artifact_prefix="$findings" \
        "$corpus" "${seeds[@]}" >"$log" 2>&1 </dev/null || status=$?
    local runs coverage result=passed
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2 || true)
    if (( status != 0 )); then
        result="failed: $(grep -m 1 -E 'ERROR:|runtime error:|terminate called' "$log" || echo "exit status $status"), see $log"
        tail -n 60 "$log" >&2
    fi
    echo "  $target: ${runs:-0} runs, coverage ${coverage:-0}, $result"
    (( status == 0 ))
}

install_missing "${build_packages[@]}" "${fuzz_packages[@]}"
if [[ ! -f $build/build.ninja ]]; then
    # Optimized a little: more runs in the same time than without, and compiled faster than with more.
    CC=clang CXX=clang++ meson setup "$build" "$root" -Dfuzz=enabled -Dtests=disabled -Dpython=disabled -Dbuildtype=debug -Doptimization=1 \
        -Db_sanitize=address,undefined -Db_lundef=false
fi
ninja -C "$build" fuzzers

# In memory where that is possible: some targets write each input to a file.
scratch=$(mktemp -d -p "$([[ -w /dev/shm ]] && echo /dev/shm || echo "${TMPDIR:-/tmp}")" avstore-fuzz-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$build/findings"
python3 "$root/tests/fuzz/make_seeds.py" "$build/seeds" "$build/tests/fuzz_seeds" "$root/data/golden" ${AVSTORE_GOLDEN:+"$AVSTORE_GOLDEN"}

export ASAN_OPTIONS=quarantine_size_mb=64:suppressions=$root/tests/support/memory.supp UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export LSAN_OPTIONS=suppressions=$root/tests/support/leaks.supp:print_suppressions=0
passed=0 failed=0
for (( i = 0; i < ${#targets[@]}; i += 2 )); do
    running=()
    for target in "${targets[@]:i:2}"; do
        fuzz "$target" & running+=($!)
    done
    for process in "${running[@]}"; do
        if wait "$process"; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
        fi
    done
done
echo "$passed passed, $failed failed, 0 skipped"
(( failed == 0 ))
