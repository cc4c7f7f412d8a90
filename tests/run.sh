#!/usr/bin/env bash
# Install what is missing, build, and run the tests. The last line printed is `N passed, N failed, N skipped`; the exit status is 1
# if anything failed. Nothing is asked. For Debian 12 and 13, as root or as a user who may use sudo.
#
# usage: run.sh [--full]
#
# By default every feature is tested, and the longest loops (kills, faults at each call, power cuts, videos in all orders) try a
# spread sample of their cases. The sample follows a seed, which is printed; AVSTORE_TEST_SEED=N repeats it.
# --full, which takes hours, tries all cases, and adds quickstart.sh, pip, clang-tidy, fuzzing, Debian 13 in a folder of its own, and
# builds without optional libraries and with the address, undefined behaviour and thread sanitizers.
# What is made lies in build-tests, with --full also in build, build-lean, build-analysis, build-sanitize, build-threads and
# build-fuzz; the log of each step is in build-tests/logs.
#
# shellcheck disable=SC2317 # functions are called by way of check()
set -uo pipefail

full=false
case ${1-} in
    "") ;;
    --full) full=true ;;
    *) sed -n '5p' "$0" | cut -c3- >&2; exit 2 ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
PATH=/usr/bin:$PATH # Debian's python3, whatever else comes first
. apps/packages.sh
build=$root/build-tests
sanitized=$root/build-sanitize
threaded=$root/build-threads
lean=$root/build-lean
analysis=$root/build-analysis
installed=$build/installed
logs=$build/logs
begin=$SECONDS

# ---------------------------------------------------------------------------------------------------------------- how it works

# add PASSED FAILED SKIPPED: also from the background
add() {
    echo "$*" >>"$logs/counts"
}

finish() {
    wait
    awk '{p += $1; f += $2; s += $3} END {printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0}' "$logs/counts"
    exit
}

show() {
    tail -n 150 "$1" | sed 's/^/    /'
}

# check NAME COMMAND...: a test of its own; $well says how it ended. What it prints is shown if it fails.
# Not to be called in a condition, where functions run as if without -e.
check() {
    local name=$1 log=$logs/${1//[^a-z0-9]/-}.log begin=$SECONDS; shift
    (set -e; "$@") >"$log" 2>&1 </dev/null
    # shellcheck disable=SC2181 # see above
    if (( $? == 0 )); then
        well=true
        echo "  $name: passed, $((SECONDS - begin)) s"
        add 1 0 0
    else
        well=false
        echo "  $name: failed, $((SECONDS - begin)) s"
        show "$log"
        add 0 1 0
    fi
}

# skip NAME REASON
skip() {
    echo "  $1: skipped, $2"
    add 0 0 1
}

# Without this nothing else can be tested.
require() {
    check "$@"
    $well || finish
}

# build_tree FOLDER OPTION...: configured anew if it was before
build_tree() {
    local folder=$1; shift
    if [[ -f $folder/build.ninja ]]; then
        meson setup --reconfigure "$folder" "$@"
    else
        meson setup "$folder" "$@"
    fi
    ninja -C "$folder"
}

# meson_tests FOLDER OPTION...
meson_tests() {
    local folder=$1 log; shift
    log=$logs/tests-$(basename "$folder").log
    rm -f "$folder/meson-logs/testlog.json"
    # One more than there are cores, as some tests wait.
    meson test -C "$folder" --no-rebuild --num-processes $(($(nproc) + 1)) "$@" >"$log" 2>&1 </dev/null
    if python3 tests/support/report_tests.py "$folder/meson-logs/testlog.json" >"$logs/report"; then
        head -n -1 "$logs/report"
        # shellcheck disable=SC2046 # three numbers
        add $(tail -n 1 "$logs/report")
    else
        echo "  no test could be run"
        show "$log"
        add 0 1 0
    fi
}

# counted NAME COMMAND...: tests that count for themselves, in their last line.
counted() {
    local name=$1 log=$logs/${1//[^a-z0-9]/-}.log begin=$SECONDS status counts; shift
    "$@" >"$log" 2>&1 </dev/null
    status=$?
    counts=$(tail -n 1 "$log" | sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p')
    # one that stops without counting, or fails without saying what, has failed
    [[ -n $counts ]] || counts="0 1 0"
    [[ $status == 0 || $counts != *" 0 "* ]] || counts="${counts/ 0 / 1 }"
    # shellcheck disable=SC2086 # three numbers
    add $counts
    echo "  $name: ${counts/ */} passed, $(cut -d' ' -f2 <<<"$counts") failed, $((SECONDS - begin)) s"
    [[ $counts == *" 0 "* ]] || show "$log"
}

# ------------------------------------------------------------------------------------------- checks of the project as a whole

# Another version lays code out in other ways.
format_version=14

formatting() {
    find lib apps tests \( -name '*.cpp' -o -name '*.h' \) -print0 | xargs -0 clang-format --dry-run -Werror
}

scripts() {
    find apps tests -name '*.sh' -print0 | xargs -0 shellcheck -x .ci/run
}

# The example program as README.md prints it, built as README.md says, from what `meson install` has put in place.
installation() {
    rm -rf "$installed" "$build/example"
    meson install -C "$build" --no-rebuild
    LD_LIBRARY_PATH=$installed/lib "$installed/bin/avstore" --version
    mkdir "$build/example"
    # shellcheck disable=SC2016 # no command there
    sed -n '/^```cpp$/,/^```$/p' README.md | sed '/^```/d' >"$build/example/example.cpp"
    cd "$build/example"
    local command
    command=$(grep -m 1 '^g++ .*pkg-config' "$root/README.md")
    export PKG_CONFIG_PATH=$installed/lib/pkgconfig LD_LIBRARY_PATH=$installed/lib
    bash -e -c "$command"
    ./example
}

# The sessions that README.md shows.
readme() {
    python3 tests/support/check_readme.py README.md "$build/apps/avstore"
}

project_checks() {
    check "installation and example" installation
    check "sessions in README.md" readme
    if command -v shellcheck >/dev/null; then
        check "shell scripts" scripts
    else
        skip "shell scripts" "there is no shellcheck"
    fi
    if [[ $(clang-format --version 2>/dev/null) == *"version $format_version."* ]]; then
        check "formatting" formatting
    else
        skip "formatting" "there is no clang-format $format_version"
    fi
}

# --------------------------------------------------------------------------------------------------------- only with --full

# `pip install .` in an environment of its own, which must find nothing of the build folder.
pip_install() {
    rm -rf "$build/environment"
    /usr/bin/python3 -m venv --system-site-packages "$build/environment"
    "$build/environment/bin/pip" install --no-index --no-build-isolation --no-deps .
    cd "$build"
    "$build/environment/bin/avstore" --version
    "$build/environment/bin/python" - "$root/data/clip.mp4" "$build/environment/clip.store" <<'EOF'
import sys, avstore
assert sys.prefix in avstore.__file__, avstore.__file__
avstore.import_video(*sys.argv[1:], copy=True)
assert avstore.open(sys.argv[2])[125].shape == (240, 320, 3)
EOF
}

static_analysis() {
    # Configured only, without precompiled headers: those are GCC's.
    rm -rf "$analysis"
    meson setup "$analysis" -Db_pch=false
    find lib/src apps -name '*.cpp' -print0 | sort -z |
        xargs -0 -n 1 -P "$(nproc)" clang-tidy -p "$analysis" --quiet
}

full_checks() {
    check "quickstart.sh" apps/quickstart.sh
    check "pip install" pip_install
    echo "Static analysis"
    check "clang-tidy" static_analysis
    echo "Testing without Blosc and HDF5, built without precompiled headers"
    check "build without Blosc and HDF5" build_tree "$lean" --werror -Doptimization=1 -Ddebug=false -Db_pch=false -Dtests=enabled \
        -Dblosc=disabled -Dhdf5=disabled
    $well && meson_tests "$lean" align_test bloscpack_test compat_test deep_pixels_test extra_test golden_test pixels_test \
        sensor_store_test
    echo "Testing with the address and undefined behaviour sanitizers"
    # An exit status that the program has for nothing else, so that no test of a refusal takes it for one.
    # libhdf5 asks for as much memory as a damaged file says, and copes when there is not so much.
    export ASAN_OPTIONS=exitcode=86:allocator_may_return_null=1:suppressions=$root/tests/support/memory.supp
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:exitcode=86
    export LSAN_OPTIONS=suppressions=$root/tests/support/leaks.supp:print_suppressions=0
    # Optimizing sanitized code takes the compiler four times as long, and saves the tests less than that.
    check "build with sanitizers" build_tree "$sanitized" -Dbuildtype=debug -Dtests=enabled -Dpython=disabled \
        -Db_sanitize=address,undefined -Db_lundef=false
    $well && meson_tests "$sanitized" --timeout-multiplier 4
    echo "Testing with the thread sanitizer: what records and reads by several threads at once"
    export TSAN_OPTIONS=exitcode=86:suppressions=$root/tests/support/races.supp
    check "build with the thread sanitizer" build_tree "$threaded" -Dbuildtype=debug -Dtests=enabled -Dpython=disabled \
        -Db_sanitize=thread -Db_lundef=false
    $well && meson_tests "$threaded" --timeout-multiplier 8 destination_test durability_test encoding_test extra_recording_test \
        following_test frame_pool_test full_disk_test hardware_test insert_chunk_test locked_index_test network_source_test \
        raw_stream_test reading_test record_test replacing_test rig_file_test writer_queue_test writing_test
    echo "Fuzzing"
    counted "fuzz.sh" tests/fuzz.sh 60
    echo "Testing on Debian 13"
    counted "Debian 13" tests/debian.sh trixie
}

# ------------------------------------------------------------------------------------------------------------------- what is run

packages=("${build_packages[@]}" "${test_packages[@]}")
$full && packages+=("${fuzz_packages[@]}" "${lint_packages[@]}")
mkdir -p "$logs"
: >"$logs/counts"
install_missing "${packages[@]}" || { add 0 1 0; finish; }

# Compiler caches, where there is one, take a clone of the same source elsewhere for the same.
export CCACHE_NOHASHDIR=1
if [[ -z ${AVSTORE_GOLDEN-} && -d $root/../shared/golden ]]; then
    AVSTORE_GOLDEN=$(cd "$root/../shared/golden" && pwd)
    export AVSTORE_GOLDEN
fi
export AVSTORE_TEST_SEED=${AVSTORE_TEST_SEED:-$RANDOM}

echo "Building, and making test videos (some minutes)"
# Optimized a little, as compiling takes longer than testing.
require "build" build_tree "$build" --werror -Doptimization=1 -Ddebug=false -Dtests=enabled -Dpython=enabled \
    -Dprefix="$installed" -Dlibdir=lib

# Tests write and sync small files all the time. With --full they do it on the disk.
if ! $full && [[ -z ${TMPDIR-} && -w /dev/shm ]] && (( $(df --output=avail -k /dev/shm | tail -n 1) > 4000000 )); then
    TMPDIR=$(mktemp -d /dev/shm/avstore-tests-XXXXXX)
    chmod 755 "$TMPDIR" # for tests that become another user
    export TMPDIR
    trap 'rm -rf "$TMPDIR"' EXIT
fi

echo "Testing, with seed $AVSTORE_TEST_SEED"
project_checks >"$logs/project-checks.log" &
if $full; then
    AVSTORE_TEST_FULL=1 meson_tests "$build" --timeout-multiplier 20
else
    meson_tests "$build"
fi
wait
cat "$logs/project-checks.log"
$full && full_checks
echo "$(((SECONDS - begin) / 60)) min $(((SECONDS - begin) % 60)) s"
finish
