#!/usr/bin/env bash
# Install what is missing, build, and run every test. The last line printed is `N passed, N failed, N skipped`; the exit status is
# 1 if anything failed. Nothing is asked. For Debian 12, as root or as a user who may use sudo.
#
# usage: run.sh [--quick]
#
# --quick leaves out quickstart.sh, pip, the static analysis (clang-tidy), the build without optional libraries and those with
# sanitizers, which take most of the time.
# What is made lies in build-tests, build-lean, build-sanitize, build-threads and build-fuzz, and quickstart.sh makes build; the log of
# each step is in build-tests/logs.
#
# shellcheck disable=SC2317 # functions are called by way of check()
set -uo pipefail

quick=false
case ${1-} in
    "") ;;
    --quick) quick=true ;;
    *) sed -n '5p' "$0" | cut -c3- >&2; exit 2 ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
. apps/packages.sh
build=$root/build-tests
sanitized=$root/build-sanitize
threaded=$root/build-threads
lean=$root/build-lean
installed=$build/installed
logs=$build/logs
passed=0 failed=0 skipped=0

# ---------------------------------------------------------------------------------------------------------------- how it works

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    (( failed == 0 ))
    exit
}

# add PASSED FAILED SKIPPED
add() {
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
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

# Without this nothing else can be tested.
require() {
    check "$@"
    $well || finish
}

# configure FOLDER OPTION...: anew if that was done before
configure() {
    local folder=$1; shift
    if [[ -f $folder/build.ninja ]]; then
        meson setup --reconfigure "$folder" "$@"
    else
        meson setup "$folder" "$@"
    fi
}

# build_tree FOLDER OPTION...
build_tree() {
    configure "$@"
    ninja -C "$1"
}

# catch2_programs FOLDER OPTION...
catch2_programs() {
    local folder=$1 counts; shift
    rm -f "$folder/meson-logs/testlog.json"
    meson test -C "$folder" --no-rebuild "$@" >"$logs/catch2-$(basename "$folder").log" 2>&1 </dev/null
    counts=$logs/counts
    if ! python3 tests/support/report_tests.py "$folder/meson-logs/testlog.json" >"$counts"; then
        echo "  no test program could be run"
        show "$logs/catch2-$(basename "$folder").log"
        add 0 1 0
        return
    fi
    head -n -1 "$counts"
    # shellcheck disable=SC2046 # three numbers
    add $(tail -n 1 "$counts")
}

# counted NAME LOG COMMAND...: tests that count for themselves, in their last line.
counted() {
    local name=$1 log=$2 begin=$SECONDS status counts; shift 2
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

# command_line FOLDER: the program's tests.
command_line() {
    local folder=$1
    rm -rf "$folder/cli-test"
    counted "cli_test.sh" "$logs/command-line-$(basename "$folder").log" \
        bash tests/integration/cli_test.sh "$folder/apps/avstore" "$folder/cli-test"
}

# python_module FOLDER: its tests, on Debian's Python, for which it was built.
python_module() {
    local folder=$1
    counted "Python module" "$logs/python-$(basename "$folder").log" \
        env PYTHONPATH="$folder/lib/python" /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/python
}

# ----------------------------------------------------------------------------------------------------------- tests of their own

# Another version lays code out in other ways.
format_version=14

formatting() {
    find lib apps tests \( -name '*.cpp' -o -name '*.h' \) -print0 | xargs -0 clang-format --dry-run -Werror
}

scripts() {
    find apps tests -name '*.sh' -print0 | xargs -0 shellcheck -x .ci/run
}

public_headers() {
    local header
    for header in lib/include/avstore/*.h; do
        echo "#include \"avstore/$(basename "$header")\"" |
            g++ -std=c++20 -Wall -Wextra -Wpedantic -Werror -I lib/include -fsyntax-only -x c++ -
    done
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

# `pip install .` in an environment of its own, which must find nothing of the build folder.
pip_install() {
    rm -rf "$build/environment"
    /usr/bin/python3 -m venv --system-site-packages "$build/environment"
    "$build/environment/bin/pip" install --no-index --no-build-isolation --no-deps .
    cd "$build"
    "$build/environment/bin/avstore" --version
    "$build/environment/bin/python" - "$root/data/clip.mp4" "$build/environment/clip.store" <<'END'
import sys, avstore
assert sys.prefix in avstore.__file__, avstore.__file__
avstore.import_video(*sys.argv[1:], copy=True)
assert avstore.open(sys.argv[2])[125].shape == (240, 320, 3)
END
}

static_analysis() {
    find lib/src apps -name '*.cpp' -print0 | sort -z |
        xargs -0 -n 1 -P "$(nproc)" clang-tidy -p "$build" --quiet
}

# Recording and reading, by several threads at once.
races() {
    local program
    local programs=(writing_test writer_queue_test frame_pool_test encoding_test extra_recording_test insert_chunk_test
        locked_index_test reading_test destination_test replacing_test full_disk_test durability_test following_test record_test
        raw_stream_test network_source_test rig_file_test hardware_test)
    configure "$threaded" -Dbuildtype=debug -Dtests=enabled -Dpython=disabled -Db_sanitize=thread -Db_lundef=false
    ninja -C "$threaded" "${programs[@]/#/tests/}"
    export TSAN_OPTIONS=exitcode=86:suppressions=$root/tests/support/races.supp
    for program in "${programs[@]}"; do
        "$threaded/tests/$program" '~[huge]'
    done
}

# Without the libraries that may be left out: what has to do with them.
lean_tests=(align_test bloscpack_test compat_test deep_pixels_test extra_test golden_test pixels_test sensor_store_test)
build_lean() {
    configure "$lean" --werror -Dbuildtype=debugoptimized -Dtests=enabled -Dblosc=disabled -Dhdf5=disabled
    ninja -C "$lean" apps/avstore "${lean_tests[@]/#/tests/}"
}

# ------------------------------------------------------------------------------------------------------------------- what is run

packages=("${build_packages[@]}" "${test_packages[@]}" "${fuzz_packages[@]}")
$quick || packages+=("${lint_packages[@]}")
mkdir -p "$logs"
install_missing "${packages[@]}" || { add 0 1 0; finish; }

# Compiler caches, where there is one, take a clone of the same source elsewhere for the same.
export CCACHE_NOHASHDIR=1
export AVSTORE_TEST_MEDIA=$build/media
if [[ -z ${AVSTORE_GOLDEN-} && -d $root/../shared/golden ]]; then
    AVSTORE_GOLDEN=$(cd "$root/../shared/golden" && pwd)
    export AVSTORE_GOLDEN
fi

echo "Building (a few minutes) and making test videos"
require "build" build_tree "$build" --werror -Dbuildtype=debugoptimized -Dtests=enabled -Dprefix="$installed" -Dlibdir=lib
require "test videos" bash tests/support/make_media.sh "$AVSTORE_TEST_MEDIA"

echo "Testing"
catch2_programs "$build"
command_line "$build"
python_module "$build"
check "public headers stand alone" public_headers
check "installation and example" installation
check "sessions in README.md" readme
if command -v shellcheck >/dev/null; then
    check "shell scripts" scripts
else
    echo "  shell scripts: skipped, there is no shellcheck"
    add 0 0 1
fi
if [[ $(clang-format --version 2>/dev/null) == *"version $format_version."* ]]; then
    check "formatting" formatting
else
    echo "  formatting: skipped, there is no clang-format $format_version"
    add 0 0 1
fi

if command -v clang++ >/dev/null; then
    echo "Feeding damaged files to what reads them, a minute each (some minutes)"
    counted "fuzz.sh" "$logs/fuzz.log" bash tests/fuzz.sh 60
    sed -n 's/^  \(.* runs, coverage .*\)/    \1/p' "$logs/fuzz.log"
else
    echo "  fuzz.sh: skipped, there is no clang"
    add 0 0 1
fi

if ! $quick; then
    check "quickstart.sh" apps/quickstart.sh
    check "pip install" pip_install
    echo "Static analysis (some minutes)"
    check "clang-tidy" static_analysis
    echo "Testing without Blosc and HDF5"
    check "build without Blosc and HDF5" build_lean
    if $well; then
        catch2_programs "$lean" "${lean_tests[@]}"
    fi
    echo "Testing with the address and undefined behaviour sanitizers (some minutes)"
    # An exit status that the program has for nothing else, so that no test of a refusal takes it for one.
    # libhdf5 asks for as much memory as a damaged file says, and copes when there is not so much.
    export ASAN_OPTIONS=exitcode=86:allocator_may_return_null=1:suppressions=$root/tests/support/memory.supp
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:exitcode=86
    # Optimizing sanitized code takes the compiler four times as long, and saves the tests less than that.
    export LSAN_OPTIONS=suppressions=$root/tests/support/leaks.supp:print_suppressions=0
    check "build with sanitizers" build_tree "$sanitized" -Dbuildtype=debug -Dtests=enabled -Dpython=disabled \
        -Db_sanitize=address,undefined -Db_lundef=false
    if $well; then
        catch2_programs "$sanitized" --timeout-multiplier 4
        command_line "$sanitized"
    fi
    check "thread sanitizer" races
fi
finish
