#!/usr/bin/env bash
# Measure how fast avstore is: install what is missing, build in release mode, and run the programs of tests/bench one after
# another. They make their own video and print tables. Let nothing else run meanwhile.
#
# usage: bench.sh [FOLDER]
#
# FOLDER is where the programs put their files, about a gigabyte, removed at the end (default: below $TMPDIR, else /tmp). Let it
# lie on the disk that recordings would go to.
set -euo pipefail

if (( $# > 1 )) || [[ ${1-} == -* ]]; then
    sed -n '5p' "$0" | cut -c3- >&2
    exit 2
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build-bench
. "$root/apps/packages.sh"

install_missing "${build_packages[@]}" "${bench_packages[@]}"
if [[ ! -f $build/build.ninja ]]; then
    meson setup "$build" "$root" --buildtype release -Dbench=enabled -Dtests=disabled
fi
ninja -C "$build"

mkdir -p "${1:-${TMPDIR:-/tmp}}"
work=$(mktemp -d -p "${1:-${TMPDIR:-/tmp}}" avstore-bench-XXXXXX)
trap 'rm -rf "$work"' EXIT

echo
echo "$(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
echo
echo "== index_bench: the index database"
"$build/tests/index_bench" 10000000 "$work/index"
echo
echo "== open_bench: opening a store of 10 million frames in 1000 chunks that has no index database, and again"
/usr/bin/python3 "$root/tests/bench/make_large_store.py" "$work/large"
"$build/tests/open_bench" "$work/large"
echo
echo "== video_bench: reading and writing, beside bare libav loops that do the same"
"$build/tests/video_bench" 600 "$work/video" | tee "$work/video.txt"
echo
echo "== rig_bench: three writers at once, beside three bare libav loops"
"$build/tests/rig_bench" 3000 "$work/rig"
echo
echo "== opencv_peer: OpenCV's VideoCapture on the same chunk"
/usr/bin/python3 "$root/tests/bench/opencv_peer.py" "$(sed -n 's/^chunk for the peer: //p' "$work/video.txt")" "$work/video.txt"
echo
echo "== python_bench: the Python module, beside the C++ loop that does the same"
PYTHONPATH=$build/lib/python /usr/bin/python3 "$root/tests/bench/python_bench.py" "$build/tests/read_bench" "$work/video/store" "$work/large"
