#!/usr/bin/env bash
# See avstore work: install what is missing, build it, make a store of a video, and read frames out of the store by index, by
# number and by time. Nothing is asked. For Debian 12 and 13, as root or as a user who may use sudo.
#
# usage: quickstart.sh [VIDEO]
#
# Without VIDEO the clip in data/ is taken. Everything made lies in the folder build; running this again replaces it.
set -euo pipefail

if (( $# > 1 )) || [[ ${1-} == -* ]]; then
    sed -n '5p' "$0" | cut -c3- >&2
    exit 2
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
results=$build/quickstart
program=$build/apps/avstore
. "$root/apps/packages.sh"

fail() {
    echo "quickstart.sh: $1" >&2
    exit 1
}

# quietly WHAT COMMAND...: the command's output goes to a log, which is shown if it fails.
quietly() {
    local what=$1 log; shift
    log=$(mktemp)
    if ! "$@" 3>&1 >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        rm -f "$log"
        fail "$what failed, see above"
    fi
    rm -f "$log"
}

build_program() {
    if [[ ! -f $build/build.ninja ]]; then
        quietly "configuring" meson setup "$build" "$root"
    fi
    if [[ -f $program ]]; then
        echo "Building what has changed"
    else
        echo "Building avstore, which takes some minutes"
    fi
    # Ninja's own line, rewritten for each file, tells how far it is; without a terminal there is a line for each tenth.
    if [[ -t 1 ]]; then
        ninja -C "$build" apps/avstore
    else
        quietly "building" in_tenths ninja -C "$build" apps/avstore
    fi
}

# in_tenths COMMAND...: runs ninja, and tells on the script's own output how much of its work is done.
in_tenths() {
    "$@" | awk -F '[][/]' '
        {print}
        /^\[[0-9]+\/[0-9]+\]/ {
            tenth = int(10 * $2 / $3)
            if (tenth > told) {
                told = tenth
                print "  " 10 * tenth " %" >"/dev/fd/3"
                fflush()
            }
        }'
}

# Two arguments: which frame (as options of extract) and the picture to write. The three names of the frame go into $index,
# $number and $time.
extract() {
    local option=$1 value=$2 picture=$3 said
    said=$("$program" extract "$store" "$option" "$value" -o "$picture")
    [[ $said =~ frame_index\ ([^,]*),\ frame_number\ ([^,]*),\ frame_time\ (.*)$ ]] || fail "cannot make sense of: $said"
    index=${BASH_REMATCH[1]} number=${BASH_REMATCH[2]} time=${BASH_REMATCH[3]}
}

# The names of the frame at a place, without decoding it.
look_up() {
    IFS=, read -r index number time _ < <("$program" frames "$store" --range "$1:$(($1 + 1))" | tail -n 1)
}

# -------------------------------------------------------------------------------------------------------------------------------

if (( $# == 1 )); then
    video=$(realpath -- "$1")
    [[ -f $video ]] || fail "$1: there is no such file"
    [[ -r $video ]] || fail "$1: you may not read this file"
    naming=()
else
    video=$root/data/clip.mp4
    # as a rig would name them: a camera's counter that was running before, and the time of day
    naming=(--numbers 5000 --start-time 2024-03-01T12:30:00Z)
fi

install_missing "${build_packages[@]}"
build_program
mkdir -p "$results"
name=$(basename "${video%.*}")
store=$results/$name.store

echo "Making a store of $video"
"$program" import "$video" "$store" --copy --overwrite "${naming[@]}" >"$results/import.txt"
if grep -q 'kept as it was' "$results/import.txt"; then
    treatment="was kept as it was"
else
    treatment="had to be encoded anew, without loss"
fi
frames=$("$program" info "$store" --json | sed -nE 's/^ *"frame_count": *([0-9]+),?$/\1/p')
[[ -n $frames ]] || fail "cannot find the number of frames of $store"
by_index=$results/$name-by-index.png by_number=$results/$name-by-number.png by_time=$results/$name-by-time.png

echo
echo "Done. The video is now a store, a folder that holds it together with an index of its frames:"
echo "  $store"
echo "The coded video $treatment. The store has $frames frames. Each has three names: its place in the store"
echo "(frame_index), the number the camera gave it (frame_number) and the time it was taken (frame_time, in seconds)."
echo "By each of these one frame was read and written as a picture:"
extract --index $((frames / 4)) "$by_index"
echo "  by index $index (it has number $number and time $time)"
echo "    $by_index"
look_up $((frames / 2))
extract --number "$number" "$by_number"
echo "  by number $number (it has index $index and time $time)"
echo "    $by_number"
look_up $((frames * 3 / 4))
wanted=$time
extract --time "$wanted" "$by_time"
echo "  by time $wanted (it has index $index and number $number)"
echo "    $by_time"
echo
echo "Next you may look at what the store says of itself, or list its frames:"
printf '  %q info %q\n  %q frames %q\n' "$program" "$store" "$program" "$store"
