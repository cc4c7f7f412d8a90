#!/usr/bin/env bash
# Tests of the program `avstore`: every command, wrong usage, bad input, signals and closed pipes. What comes out is compared
# with what the programs ffmpeg, ffprobe and sqlite3 say of the same files. The last line is `N passed, N failed, N skipped`.
#
# usage: cli_test.sh AVSTORE_PROGRAM WORKDIR [GROUP...]
#
# GROUP is one of the groups of tests below; without any all are run. WORKDIR is made, and what is in it is removed first. Videos and
# stores stay in it.
set -uo pipefail
PATH=/usr/bin:$PATH # Debian's python3, whatever else comes first

# Groups need nothing of each other, so they can run at the same time. Within a group tests use what those before have made.
declare -A functions_of=(
    [stores]="usage import_tests names_tests bad_input info_tests frames_tests framemd5_tests cat_tests extract_tests export_tests
        transcode_tests timecodes_tests index_tests verify_tests output_tests permission_tests"
    [recording]="formats_tests record_tests follow_tests rig_tests signal_tests"
    [upkeep]="repair_tests golden_tests tools_tests"
)

(( $# >= 2 )) || { sed -n '5p' "$0" | cut -c3- >&2; exit 2; }
avstore=$(realpath "$1")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
groups=("${@:3}")
(( ${#groups[@]} > 0 )) || groups=(stores recording upkeep)
[[ ! -e $2 || -z $(ls -A "$2") || -e $2/.cli_test ]] || { echo "$2 was not made by this script" >&2; exit 1; }
rm -rf "$2"
mkdir -p "$2" && cd "$2" && : >.cli_test || exit 1

passed=0 failed=0 skipped=0
out=$PWD/out err=$PWD/err status=0
minutes_each=4 # more than that is hanging

# ---------------------------------------------------------------------------------------------------------------- how it works

ok() {
    passed=$((passed + 1))
    echo "ok - $1"
}

# not_ok NAME WHAT
not_ok() {
    failed=$((failed + 1))
    echo "not ok - $1: $2"
    if [[ -s $err ]]; then
        sed 's/^/    stderr: /' "$err" | head -n 5
    fi
}

skip() {
    skipped=$((skipped + 1))
    echo "skipped - $1: $2"
}

# same NAME EXPECTED ACTUAL
same() {
    if [[ $2 == "$3" ]]; then
        ok "$1"
    else
        not_ok "$1" "expected '${2:0:200}', got '${3:0:200}'"
    fi
}

# matches NAME PATTERN TEXT: a regular expression
matches() {
    if [[ $3 =~ $2 ]]; then
        ok "$1"
    else
        not_ok "$1" "'${3:0:300}' does not match '$2'"
    fi
}

# holds NAME COMMAND...: the command must succeed
holds() {
    local name=$1; shift
    if "$@" >"$out" 2>"$err" </dev/null; then
        ok "$name"
    else
        not_ok "$name" "failed: $*"
    fi
}

# av ARGUMENT...: runs the program; leaves $status and the files $out and $err
av() {
    timeout -k 5 $((60 * minutes_each)) "$avstore" "$@" >"$out" 2>"$err" </dev/null
    status=$?
}

# prints ARGUMENT...: what the program writes to standard output
prints() {
    timeout -k 5 $((60 * minutes_each)) "$avstore" "$@" 2>"$err" </dev/null
}

# works NAME ARGUMENT...: the program must succeed and complain of nothing
works() {
    local name=$1; shift
    av "$@"
    if (( status == 0 )) && [[ ! -s $err ]]; then
        ok "$name"
    else
        not_ok "$name" "status $status of avstore $*"
    fi
}

# ends NAME STATUS PATTERN ARGUMENT...: the program must end with this status and one line of message, which the regular
# expression matches
ends() {
    local name=$1 expected=$2 pattern=$3; shift 3
    av "$@"
    if (( status != expected )); then
        not_ok "$name" "status $status instead of $expected of avstore $*"
    elif (( $(wc -l <"$err") != 1 )) || [[ $(cat "$err") != "avstore: "* ]]; then
        not_ok "$name" "not one line of message"
    elif [[ ! $(cat "$err") =~ $pattern ]]; then
        not_ok "$name" "the message does not match '$pattern'"
    else
        ok "$name"
    fi
}

fails() { # NAME PATTERN ARGUMENT...
    local name=$1 pattern=$2; shift 2
    ends "$name" 1 "$pattern" "$@"
}

misused() { # NAME PATTERN ARGUMENT...
    local name=$1 pattern=$2; shift 2
    ends "$name" 2 "$pattern.*--help" "$@"
}

# nothing_left NAME PATH: neither it nor something beside it whose name begins alike
nothing_left() {
    local found
    found=$(compgen -G "$2*")
    same "$1" "" "$found"
}

# ------------------------------------------------------------------------------------------------------------- the other opinion

quiet_ffmpeg() {
    ffmpeg -nostdin -loglevel error -y "$@"
}

# ffmpeg_md5 [-s STREAM] FILE...: md5 of every frame of video files, in order, decoded from the beginning; of the video stream
# counted so, else of the first
ffmpeg_md5() {
    local file stream=0
    [[ $1 != -s ]] || { stream=$2; shift 2; }
    for file in "$@"; do
        ffmpeg -nostdin -loglevel error -i "$file" -map "0:v:$stream" -fps_mode passthrough -f framemd5 - | sed '/^#/d; s/.*, *//'
    done
}

# md5 of every frame of a store, by frame_index; further arguments say how it is read
store_md5() {
    prints framemd5 "$@" | sort -t , -k 1,1n | cut -d , -f 4
}

# values_of SECTION=KEY FILE: of every frame or packet of its first video stream, a line each
values_of() {
    # ffprobe puts lines of its own after frames that have side data
    ffprobe -loglevel error -select_streams v:0 -show_entries "$1" -of csv=p=0 "$2" | grep -oE '^-?[0-9.]+'
}

frame_count_of() {
    ffprobe -loglevel error -select_streams v:0 -count_frames -show_entries stream=nb_read_frames -of csv=p=0 "$1" | head -n 1
}

sql() { # STORE QUERY
    sqlite3 -readonly "$1/.index.sqlite" "$2"
}

md5_of() {
    md5sum | cut -d ' ' -f 1
}

# json EXPRESSION: what Python makes of the JSON document d on standard input
json() {
    python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"
}

# column NUMBER of the table of frames
column() {
    sed 1d | cut -d , -f "$1"
}

# until_true SECONDS COMMAND...: waits for the command to succeed
until_true() {
    local tries=$(($1 * 50)); shift
    until "$@" 2>/dev/null; do
        (( tries-- > 0 )) || return 1
        sleep 0.02
    done
}

# kill_after SECONDS PROCESS: the limit of a failure, for the background. Whoever reads our output must not wait for its sleep.
kill_after() {
    sleep "$1" >/dev/null 2>&1
    kill -s KILL "$2" 2>/dev/null
}

# --------------------------------------------------------------------------------------------------------------------- test data

frames=60
make_media() {
    quiet_ffmpeg -f lavfi -i testsrc2=size=160x96:rate=25 -frames:v $frames -c:v libx264 -g 12 -bf 2 -pix_fmt yuv420p \
        -metadata creation_time=2024-03-01T12:00:00Z clip.mp4 &&
        quiet_ffmpeg -f lavfi -i testsrc2=size=160x96:rate=25 -frames:v 10 -pix_fmt gray -f rawvideo gray.raw &&
        quiet_ffmpeg -f lavfi -i testsrc2=size=160x96:rate=25 -f lavfi -i testsrc=size=64x48:rate=25 -map 0 -map 1 \
            -t 0.8 -c:v libx264 two.mp4 &&
        quiet_ffmpeg -f lavfi -i testsrc2=size=1280x720:rate=25 -frames:v 250 -c:v libx264 -preset ultrafast long.mp4 &&
        quiet_ffmpeg -f lavfi -i sine=duration=1 sound.m4a &&
        quiet_ffmpeg -f lavfi -i testsrc2=size=160x96:rate=25 -frames:v 200 -c:v libx264 -g 25 -movflags +faststart whole.mp4 &&
        quiet_ffmpeg -i clip.mp4 -c copy "Versuch ä ß 1.mp4" &&
        head -c $(($(stat -c %s whole.mp4) * 2 / 3)) whole.mp4 >cut.mp4 &&
        head -c 5000 /dev/zero >zeros.mp4 && : >empty.mp4 && mkdir folder
}

# ------------------------------------------------------------------------------------------------------------------------- tests

usage() {
    av
    same "without a command: status" 2 "$status"
    matches "without a command: help on stderr" "Usage: avstore.*import.*framemd5" "$(tr '\n' ' ' <"$err")"
    same "without a command: nothing on stdout" "" "$(cat "$out")"
    works "--help" --help
    matches "--help is a result" "Usage: avstore" "$(cat "$out")"
    works "--version" --version
    matches "--version says it" '^avstore [0-9]+\.[0-9]+' "$(cat "$out")"
    local command
    for command in import record info frames formats extract cat export transcode timecodes verify index repair framemd5 extra reindex \
        align doctor; do
        av "$command" --help
        if (( status == 0 )) && grep -q "^Example:" "$out" && grep -q "^  .*avstore $command" "$out"; then
            ok "$command --help has an example"
        else
            not_ok "$command --help has an example" "status $status"
        fi
        [[ $command == formats || $command == doctor ]] || misused "$command without arguments" "required" "$command"
        misused "$command with an unknown option" "--nosuch|required" "$command" a b --nosuch
    done
    misused "unknown command" "'imprt' is no command" imprt a b
    misused "unknown option" "--nosuch" --nosuch
    misused "one argument too many" "three" import one two three
    misused "--format unknown" "known are .*avc1/mp4.*png" import clip.mp4 no.store --format vhs
    fails "--preset unknown" "no preset 'nonsense'" import clip.mp4 no.store --encoder libx264 --preset nonsense
    same "--preset unknown: told once" 1 "$(wc -l <"$err")"
    misused "--format and --copy" "excludes" import clip.mp4 no.store --format png --copy
    misused "--quality and --copy" "excludes" import clip.mp4 no.store --quality 5 --copy
    misused "--timing and --copy" "excludes" import clip.mp4 no.store --timing real --copy
    misused "--times and --numbers" "excludes" import clip.mp4 no.store --times x.csv --numbers 5
    misused "--chunk-size 0" "too small" import clip.mp4 no.store --chunk-size 0
    misused "--chunk-size x" "whole number" import clip.mp4 no.store --chunk-size 1e3
    misused "--quality 101" "between 0 .* and 100" import clip.mp4 no.store --quality 101
    misused "--fps 0" "frame rate" import clip.mp4 no.store --fps 0
    misused "--fps 30/0" "frame rate" import clip.mp4 no.store --fps 30/0
    misused "--start-time yesterday" "no time" import clip.mp4 no.store --start-time yesterday
    misused "--start-time of the 30th of February" "no time" import clip.mp4 no.store --start-time 2024-02-30
    misused "--metadata without =" "KEY=VALUE" import clip.mp4 no.store --metadata subject
    misused "--metadata that is no YAML" "metadata" import clip.mp4 no.store --metadata 'a=[1'
    misused "--timing unknown" "nominal and real" import clip.mp4 no.store --timing exact
    misused "--numbers x" "whole number" import clip.mp4 no.store --numbers 5:x
    misused "--size wrong" "WIDTHxHEIGHT" record - no.store --size 64
    misused "transcode without --format" "format is required" transcode a b
    nothing_left "wrong usage makes nothing" no.store
}

import_tests() {
    works "import" import clip.mp4 plain.store
    same "import: result" "plain.store: $frames frames as avc1/mp4" "$(cat "$out")"
    same "import: rows" $frames "$(sql plain.store 'SELECT count(*) FROM frames')"
    same "import: frames in the chunk" $frames "$(frame_count_of plain.store/000000.mp4)"
    same "import: time starts at creation_time" 1709294400.0 "$(sql plain.store 'SELECT min(frame_time) FROM frames')"
    same "import: not locked any more" "" "$(compgen -G 'plain.store/.lock')"

    works "import --copy" import clip.mp4 copy.store --copy --chunk-size 24 --json
    same "import --json" "copy.store $frames avc1/mp4 True" "$(json '*[d[k] for k in ("store", "frames", "format", "copied")]' <"$out")"
    same "import --copy: chunks" 3 "$(compgen -G 'copy.store/*.mp4' | wc -l)"
    same "import --copy: every frame is the source's" "$(ffmpeg_md5 clip.mp4)" "$(store_md5 copy.store)"

    works "import into a lossless format" import clip.mp4 lossless.store --format ffv1/mkv --chunk-size 25
    same "import into a lossless format: every frame is the source's" "$(ffmpeg_md5 clip.mp4)" "$(store_md5 lossless.store)"

    works "paths with blanks and umlauts" import "Versuch ä ß 1.mp4" "Aufnahme ö 1.store" --metadata "ort=Straße 1"
    same "paths with blanks and umlauts: metadata" "Straße 1" "$(prints info "Aufnahme ö 1.store" --json | json 'd["metadata"]["ort"]')"

    works "import --stream --copy" import two.mp4 second.store --stream 1 --copy
    same "import --stream --copy: every frame is that stream's" "$(ffmpeg_md5 -s 1 two.mp4)" "$(store_md5 second.store)"
    works "import --stream" import two.mp4 second.store --stream 1 --overwrite
    same "import --stream: takes that one" "64 48" "$(prints info second.store --json | json 'str(d["width"]) + " " + str(d["height"])')"
    fails "import --stream that is not there" "two.mp4" import two.mp4 no.store --stream 7

    works "import with encoder options" import clip.mp4 options.store --format avc1/mp4 --encoder libx264 --preset ultrafast \
        --quality 30 --keyframe-interval 10 --b-frames 0 --threads 1 --option tune=zerolatency --option crf=40 --fps 50 \
        --chunk-size 40
    same "--keyframe-interval" "0 10 20 30 40 50" "$(prints frames options.store | awk -F , '$7 == 1 {print $1}' | xargs)"
    same "--keyframe-interval: the video's own" "0 10 20 30" "$(values_of frame=key_frame options.store/000000.mp4 |
        awk '$1 == 1 {print NR - 1}' | xargs)"
    same "--fps" "50/1" "$(ffprobe -loglevel error -select_streams v -show_entries stream=r_frame_rate -of csv=p=0 \
        options.store/000000.mp4 | head -n 1)"
    quiet_ffmpeg -i clip.mp4 -r 10 -c:v libx264 slow.mp4
    works "--fps that is the usual one" import slow.mp4 options.store --overwrite --fps 25
    same "--fps that is the usual one" "25/1" "$(ffprobe -loglevel error -select_streams v -show_entries stream=r_frame_rate \
        -of csv=p=0 options.store/000000.mp4 | head -n 1)"
    works "without --fps" import slow.mp4 options.store --overwrite
    same "without --fps: the source's" "10/1" "$(ffprobe -loglevel error -select_streams v -show_entries stream=r_frame_rate \
        -of csv=p=0 options.store/000000.mp4 | head -n 1)"
    av import clip.mp4 options.store --overwrite --copy --chunk-size 5
    matches "import --copy in chunks shorter than keyframes lie apart: says so" "up to 12 frames instead of 5" "$(cat "$err")"
    local quality sizes=""
    for quality in 5 60 100; do
        av import clip.mp4 options.store --overwrite --format jpg --quality $quality
        sizes+="$(du -bs options.store/000000 | cut -f 1)"$'\n'
    done
    same "--quality of JPEG images: larger files" "$(sort -n -u <<<"${sizes%$'\n'}")" "${sizes%$'\n'}"
    fails "--option unknown" "nosuch" import clip.mp4 no.store --option nosuch=1
    fails "--encoder unknown" "nosuch" import clip.mp4 no.store --encoder nosuch
    nothing_left "refused options leave nothing" no.store
    works "--encoder software" import clip.mp4 options.store --overwrite --format h264/mkv --encoder software
    matches "--encoder software: info" "Format +h264/mkv .*made by libx264" "$(prints info options.store)"
    same "--encoder software: info --json" "libx264 0 libx264" "$(prints info options.store --json |
        json 'd["encoder"] + " " + " ".join(str(e["first_chunk"]) + " " + e["encoder"] for e in d["encoders"])')"
    fails "--encoder hardware of a format that has none" "ffv1/mkv: no encoder of the kind 'hardware' opens: the format has none" \
        import clip.mp4 no.store --format ffv1/mkv --encoder hardware
    fails "--encoder vaapi where there is none: the driver's reason" "no encoder of the kind 'vaapi' opens: .*vaapi device" \
        import clip.mp4 no.store --format h264/mkv --encoder vaapi --encoder-device /no/such/node
    fails "--encoder by name that hardware lacks: the driver's reason" "h264_vaapi.*vaapi device" import clip.mp4 no.store \
        --format h264/mkv --encoder h264_vaapi --encoder-device /no/such/node
    nothing_left "encoders that do not work" no.store
}

names_tests() {
    works "--numbers and --start-time" import clip.mp4 names.store --numbers -10:-3 --start-time 1500001000.25 --copy
    fails "--numbers beyond 64 bits" "frame 2 .*64 bits" import clip.mp4 no.store --numbers 9223372036854775800:5 --copy
    same "--numbers" "$(seq -10 -3 $((-10 - 3 * (frames - 1))))" "$(prints frames names.store | column 2)"
    same "--start-time: first" 1500001000.25 "$(prints frames names.store --range :1 | column 3)"
    same "--start-time: sixth" 1500001000.45 "$(prints frames names.store --range 5:6 | column 3)"
    local date
    for date in 2017-07-14T04:56:40.25+02:00 2017-07-14T02:56:40.25Z "2017-07-14 02:56:40.25"; do
        av import clip.mp4 iso.store --copy --overwrite --start-time "$date"
        same "--start-time $date" 1500001000.25 "$(prints frames iso.store --range :1 | column 3)"
    done
    av import clip.mp4 iso.store --copy --overwrite --start-time -1.5
    same "--start-time negative" -1.5 "$(prints frames iso.store --range :1 | column 3)"

    awk -v n=$frames 'BEGIN {for (i = 0; i < n; ++i) printf "%d,%.17g\n", 1000 - 7 * i, 1e9 + i * i / 8}' >bare.csv
    works "--times without a header" import clip.mp4 times.store --copy --times bare.csv
    same "--times: numbers" "$(cut -d , -f 1 bare.csv)" "$(sql times.store 'SELECT frame_number FROM frames ORDER BY rowid')"
    same "--times: times" "$(awk -F , '{printf "%.3f\n", $2}' bare.csv)" \
        "$(sql times.store 'SELECT frame_time FROM frames ORDER BY rowid' | awk '{printf "%.3f\n", $1}')"
    prints frames times.store | sed 's/$/\r/' >table.csv
    works "--times takes what frames prints" import clip.mp4 again.store --copy --times table.csv
    same "--times takes what frames prints: same names" "$(prints frames times.store)" "$(prints frames again.store)"
    head -n 50 bare.csv >short.csv
    fails "--times with too few lines" "50" import clip.mp4 no.store --copy --times short.csv
    fails "--times with too few lines, encoding" "50" import clip.mp4 no.store --times short.csv
    (cat bare.csv; echo 1,1) >many.csv
    fails "--times with too many lines" "61" import clip.mp4 no.store --times many.csv
    (head -n 3 bare.csv; echo 7,later) >wrong.csv
    fails "--times with a line that is wrong" "wrong.csv: line 4: 'later'" import clip.mp4 no.store --times wrong.csv
    fails "--times with columns of other names" "frame_number" import clip.mp4 no.store --times <(echo number,time)
    fails "--times that is not there" "nosuch.csv.*No such file" import clip.mp4 no.store --times nosuch.csv
    fails "--times that is a folder" "folder.*directory" import clip.mp4 no.store --times folder
    fails "--times that is empty" "empty.mp4" import clip.mp4 no.store --times empty.mp4
    nothing_left "refused times leave nothing" no.store
}

bad_input() {
    local how
    for how in "" --copy; do
        # shellcheck disable=SC2086 # no argument if empty
        {
            fails "import $how: not there" "nosuch.mp4.*no such file" import nosuch.mp4 no.store $how
            fails "import $how: empty" "empty.mp4: the file is empty" import empty.mp4 no.store $how
            fails "import $how: not a video" "zeros.mp4" import zeros.mp4 no.store $how
            fails "import $how: text" "bare.csv" import bare.csv no.store $how
            fails "import $how: sound only" "sound.m4a.*no video" import sound.m4a no.store $how
            fails "import $how: a folder" "folder.*is a folder" import folder no.store $how
            fails "import $how: a store" "plain.store.*is a folder" import plain.store no.store $how
            fails "import $how: cut off" "cut.mp4.*cut off" import cut.mp4 no.store $how
            nothing_left "import $how: bad input leaves nothing" no.store
            fails "import $how: below a file" "Not a directory" import clip.mp4 empty.mp4/no.store $how
            fails "import $how: where nothing can be made" "/proc" import clip.mp4 /proc/no.store $how
        }
    done
    local before
    before=$(prints framemd5 plain.store)
    fails "import: the store is there" "plain.store.*there already.*(--overwrite)" import clip.mp4 plain.store
    fails "import: something else is there" "bare.csv" import clip.mp4 bare.csv
    fails "import --overwrite: something else is there" "bare.csv" import clip.mp4 bare.csv --overwrite
    fails "import --overwrite: bad input" "zeros.mp4" import zeros.mp4 plain.store --overwrite
    same "a refused import leaves the store as it was" "$before" "$(prints framemd5 plain.store)"
    av import clip.mp4 over.store --copy
    works "import --overwrite" import second.store/000000.mp4 over.store --overwrite
    same "import --overwrite: the new one is there" 20 "$(sql over.store 'SELECT count(*) FROM frames')"

    av import cut.mp4 cut.store --allow-truncated
    same "import --allow-truncated: status" 0 "$status"
    matches "import --allow-truncated: says so" "^avstore: cut.mp4.*cut off" "$(cat "$err")"
    local count
    count=$(sql cut.store 'SELECT count(*) FROM frames')
    if (( count > 100 && count < 200 )); then
        ok "import --allow-truncated: takes what there is"
    else
        not_ok "import --allow-truncated: takes what there is" "$count frames"
    fi

    local command
    for command in info frames timecodes verify index framemd5 cat; do
        fails "$command: no such store" "nosuch" "$command" nosuch
        fails "$command: a folder that is no store" "folder" "$command" folder
        fails "$command: a file that is no store" "clip.mp4" "$command" clip.mp4
    done
    fails "extract: no such store" "nosuch" extract nosuch --index 0 -o no.png
    fails "export: no such store" "nosuch" export nosuch no.mp4
    fails "transcode: no such store" "nosuch" transcode nosuch no.store --format png
    cp -r copy.store newer.store
    sed -i 's/version: 2/version: 3/' newer.store/metadata.yaml
    fails "a store of a newer version" "newer.store.*version" info newer.store
    nothing_left "reading nothing writes nothing" no.
}

info_tests() {
    works "import with metadata" import clip.mp4 meta.store --copy --metadata subject.id=7 --metadata "subject.name='8'" \
        --metadata 'tags=[a, b]' --metadata rate=2.5 --metadata dark=yes --start-time 1500000000
    works "info" info meta.store
    local field
    for field in "Format +avc1/mp4" "Images +160x96, colour, uint8" "Frames +$frames in 1 chunk" "Numbers +0 to $((frames - 1))" \
        "Times +1500000000 .2017-07-14 02:40:00 UTC" "Duration +2.360 s, 25 frames/s" "subject:"; do
        matches "info: $field" "$field" "$(cat "$out")"
    done
    works "info of metadata.yaml" info meta.store/metadata.yaml
    works "info --json" info meta.store --json
    same "info --json: fields" "avc1/mp4 160 96 True uint8 10000 1 $frames 0 $((frames - 1)) 1500000000.0 False" "$(json '*[d[k] for k in
        ("format", "width", "height", "color", "dtype", "chunk_size", "chunk_count", "frame_count", "frame_number_min",
         "frame_number_max", "frame_time_min", "open_for_writing")]' <"$out")"
    same "info --json: metadata" "{'subject': {'id': 7, 'name': '8'}, 'tags': ['a', 'b'], 'rate': 2.5, 'dark': True}" \
        "$(json 'd["metadata"]' <"$out")"
    same "info --json: mean rate" "2.36 25.0" "$(json 'round(d["duration"], 6), round(d["mean_frame_rate"], 3)' <"$out" | tr -d '(),')"
    works "import with metadata that are no numbers" import clip.mp4 nan.store --copy --metadata gain=.nan \
        --metadata 'range=[-.inf, .inf, 1.5]' --metadata "text='NaN, \"Infinity'"
    works "info --json of metadata that are no numbers" info nan.store --json
    same "info --json of metadata that are no numbers: null" "{'gain': None, 'range': [None, None, 1.5], 'text': 'NaN, \"Infinity'}" \
        "$(python3 -c 'import json, sys; print(json.load(sys.stdin, parse_constant=sys.exit)["metadata"])' <"$out")"
}

frames_tests() {
    works "frames" frames copy.store
    same "frames: header" "frame_index,frame_number,frame_time,chunk,frame_idx,pts,keyframe" "$(head -n 1 "$out")"
    same "frames: what the database says" \
        "$(sql copy.store 'SELECT frame_index, frame_number, chunk, frame_idx, pts FROM frames ORDER BY rowid' | tr '|' ,)" \
        "$(sed 1d "$out" | cut -d , -f 1,2,4-6)"
    same "frames: keyframes" "$(values_of frame=key_frame clip.mp4)" "$(column 7 <"$out")"
    local whole range
    whole=$(sed 1d "$out")
    for range in "0:5 1,5p" "55: 56,60p" ":3 1,3p" "-2: 59,60p" "-60:-58 1,2p" "58:900 59,60p" ": 1,60p"; do
        same "frames --range ${range% *}" "$(sed -n "${range#* }" <<<"$whole")" "$(prints frames copy.store --range "${range% *}" | sed 1d)"
    done
    fails "frames --range past the end" "copy.store.*60" frames copy.store --range 60:
    misused "frames --range of no numbers" "whole number" frames copy.store --range a:b
    misused "frames --range of one number" "A:B" frames copy.store --range 5
    same "frames --json" "$(sed -n '3,12p' <<<"$whole" | cut -d , -f 1-6)" "$(prints frames copy.store --range 2:12 --json |
        json '"\n".join(",".join(str(f[k]) for k in ("frame_index", "frame_number", "frame_time", "chunk", "frame_idx", "pts"))
            for f in d)' | sed -E 's/^([^,]*,[^,]*,[0-9]+)\.0,/\1,/')"
    same "frames --json: keyframe is a boolean" "True False" "$(prints frames copy.store --range 0:2 --json | json '*[f["keyframe"] for f in d]')"
}

framemd5_tests() {
    local store order
    for store in plain.store copy.store lossless.store; do
        local expected
        expected=$(ffmpeg_md5 "$store"/0*.m*)
        for order in forward reverse random; do
            same "framemd5 $store --order $order" "$expected" "$(store_md5 "$store" --order $order)"
        done
    done
    same "framemd5: names" "$(prints frames names.store | sed 1d | cut -d , -f 1-3)" "$(prints framemd5 names.store | cut -d , -f 1-3)"
    same "framemd5 --order reverse: lines in the order read" "$(seq $((frames - 1)) -1 0)" \
        "$(prints framemd5 copy.store --order reverse | cut -d , -f 1)"
    same "framemd5 --indices" "3 1 10 11 12 59 1" "$(prints framemd5 copy.store --indices 3,1,10:13,-1,1 | cut -d , -f 1 | xargs)"
    same "framemd5 --indices with a negative first" "59 0" "$(prints framemd5 copy.store --indices -1,0 | cut -d , -f 1 | xargs)"
    local first second
    first=$(prints framemd5 copy.store --order random --seed 7)
    second=$(prints framemd5 copy.store --order random --seed 8)
    same "framemd5 --seed: the same order again" "$first" "$(prints framemd5 copy.store --order random --seed 7)"
    if [[ $first != "$second" && $first != "$(sort -n <<<"$first")" ]]; then
        ok "framemd5 --seed: another order with another seed"
    else
        not_ok "framemd5 --seed: another order with another seed" "the same"
    fi
    fails "framemd5 --indices past the end" "60" framemd5 copy.store --indices 3,60
    same "framemd5: what came before an error is written" 3 "$(cut -d , -f 1 "$out")"
    fails "framemd5 --indices before the beginning: as typed" "frame_index -61;" framemd5 copy.store --indices 3,-61
    fails "framemd5 --indices of an empty range" "copy.store.*3:1 holds no frame" framemd5 copy.store --indices 3:1,5
    same "framemd5 --indices of an empty range: prints nothing" "" "$(cat "$out")"
    misused "framemd5 --order unknown" "forward, reverse and random" framemd5 copy.store --order sideways
    misused "framemd5 --indices of no numbers" "whole number" framemd5 copy.store --indices 1,,2
}

cat_tests() {
    local chunk=plain.store/000000.mp4
    same "cat" "$(quiet_ffmpeg -i $chunk -fps_mode passthrough -f rawvideo - | md5_of)" "$(prints cat plain.store | md5_of)"
    same "cat --range" "$(quiet_ffmpeg -i $chunk -fps_mode passthrough -vf 'select=between(n\,13\,16)' -f rawvideo - | md5_of)" \
        "$(prints cat plain.store --range 13:17 | md5_of)"
    same "cat over several chunks" "$(quiet_ffmpeg -i clip.mp4 -fps_mode passthrough -f rawvideo - | md5_of)" \
        "$(prints cat copy.store --as rawvideo | md5_of)"
    same "cat --pixel-format: size" $((160 * 96 * 3 * 2)) "$(prints cat plain.store --range :2 --pixel-format bgr24 | wc -c)"
    same "cat --pixel-format bgr24" "$(quiet_ffmpeg -i $chunk -frames:v 5 -fps_mode passthrough -pix_fmt bgr24 -f rawvideo - | md5_of)" \
        "$(prints cat plain.store --range :5 --pixel-format bgr24 | md5_of)"
    prints cat plain.store --as y4m >plain.y4m
    same "cat --as y4m" "$(ffmpeg_md5 $chunk)" "$(ffmpeg_md5 plain.y4m)"
    same "cat --as y4m: header" "160 96 yuv420p tv 25/1" "$(ffprobe -loglevel error -show_entries \
        stream=width,height,pix_fmt,color_range,r_frame_rate -of csv=p=0 plain.y4m | tr , ' ')"
    prints cat plain.store --as y4m --pixel-format gray8 --range -3: >gray.y4m
    same "cat --as y4m of gray" "gray 3" "$(ffprobe -loglevel error -count_frames -show_entries stream=pix_fmt,nb_read_frames \
        -of csv=p=0 gray.y4m | tr , ' ')"
    fails "cat --as y4m of what it cannot hold" "plain.store.*bgr24.*--pixel-format" cat plain.store --as y4m --pixel-format bgr24
    misused "cat --as unknown" "rawvideo and y4m" cat plain.store --as avi
    misused "cat --pixel-format unknown" "rgb25" cat plain.store --pixel-format rgb25
}

raw_picture() {
    quiet_ffmpeg -i "$1" -frames:v 1 -pix_fmt bgr24 -f rawvideo - | md5_of
}

extract_tests() {
    local expected
    expected=$(quiet_ffmpeg -i clip.mp4 -fps_mode passthrough -vf 'select=eq(n\,31)' -pix_fmt bgr24 -f rawvideo - | md5_of)
    works "extract --index" extract copy.store --index 31 -o "Bild ü.png"
    same "extract --index: result" "Bild ü.png: frame_index 31, frame_number 31, frame_time 1709294401.24" "$(cat "$out")"
    same "extract --index: the frame" "$expected" "$(raw_picture "Bild ü.png")"
    local kind
    for kind in bmp ppm tif; do
        works "extract to $kind" extract copy.store --index 31 -o frame.$kind
        same "extract to $kind: the frame" "$expected" "$(raw_picture frame.$kind)"
    done
    works "extract to npy" extract copy.store --index 31 -o frame.npy
    same "extract to npy: the frame" "$expected" "$(tail -c $((160 * 96 * 3)) frame.npy | md5_of)"
    works "extract to jpg" extract copy.store --index 31 -o frame.jpg
    same "extract to jpg: size" "160 96" "$(ffprobe -loglevel error -show_entries stream=width,height -of csv=p=0 frame.jpg | tr , ' ')"
    works "extract to pgm" extract copy.store --index 31 -o frame.pgm --pixel-format gray8
    same "extract to pgm: gray" "gray" "$(ffprobe -loglevel error -show_entries stream=pix_fmt -of csv=p=0 frame.pgm)"

    # numbers are -10, -13, ... in this one
    works "extract --number" extract names.store --number -103 -o number.png
    same "extract --number: the frame" "$expected" "$(raw_picture number.png)"
    fails "extract --number that no frame has" "-104" extract names.store --number -104 -o no.png
    works "extract --number --nearest" extract names.store --number -104 --nearest -o nearest.png
    same "extract --number --nearest: the frame" "$expected" "$(raw_picture nearest.png)"
    works "extract --time" extract names.store --time 1500001001.495 -o time.png
    same "extract --time: the frame" "$expected" "$(raw_picture time.png)"
    works "extract --time negative" extract names.store --time -1.5 -o time.png
    matches "extract --time negative: the first frame" "frame_index 0," "$(cat "$out")"
    fails "extract --index past the end" "60" extract copy.store --index 60 -o no.png
    fails "extract --index negative" "-1" extract copy.store --index -1 -o no.png
    fails "extract to a picture of unknown kind" "no.xyz" extract copy.store --index 0 -o no.xyz
    fails "extract to where nothing can be made" "empty.mp4" extract copy.store --index 0 -o empty.mp4/no.png
    misused "extract without saying which" "--index, --number and --time" extract copy.store -o no.png
    misused "extract saying it twice" "excludes" extract copy.store --index 1 --time 1 -o no.png
    misused "extract without -o" "required" extract copy.store --index 1
    misused "extract --index of no number" "whole number" extract copy.store --index 0x10 -o no.png
    nothing_left "refused extracts leave nothing" no.
}

export_tests() {
    works "export" export copy.store whole.export.mp4
    same "export: result" "whole.export.mp4: $frames frames, 0 of them encoded anew" "$(cat "$out")"
    same "export: every frame" "$(ffmpeg_md5 clip.mp4)" "$(ffmpeg_md5 whole.export.mp4)"
    works "export to mkv" export copy.store whole.export.mkv --json
    same "export --json" "whole.export.mkv $frames 0" "$(json '*[d[k] for k in ("file", "frames", "frames_encoded")]' <"$out")"
    same "export to mkv: every frame" "$(ffmpeg_md5 clip.mp4)" "$(ffmpeg_md5 whole.export.mkv)"
    works "export of whole keyframe intervals" export copy.store aligned.mp4 --range 24:48
    same "export of whole keyframe intervals: every frame" "$(ffmpeg_md5 clip.mp4 | sed -n '25,48p')" "$(ffmpeg_md5 aligned.mp4)"
    works "export of a cut" export copy.store inside.mp4 --range 5:41 --json
    same "export of a cut: frames" 36 "$(frame_count_of inside.mp4)"
    same "export of a cut: what need not be encoded is the same" "$(ffmpeg_md5 clip.mp4 | sed -n '13,36p')" \
        "$(ffmpeg_md5 inside.mp4 | sed -n '8,31p')"
    local encoded
    encoded=$(json 'd["frames_encoded"]' <"$out")
    if (( encoded >= 7 && encoded <= 12 )); then
        ok "export of a cut: encodes no more than it must"
    else
        not_ok "export of a cut: encodes no more than it must" "$encoded frames"
    fi
    works "export --timing real" export times.store real.mkv --timing real
    same "export --timing real: the frames' times" "$(awk -v n=$frames 'BEGIN {for (i = 0; i < n; ++i) printf "%.3f\n", i * i / 8}')" \
        "$(values_of frame=pts_time real.mkv | awk 'NR == 1 {first = $1} {printf "%.3f\n", $1 - first}')"
    works "export --timing nominal" export copy.store nominal.mkv --timing nominal
    same "export --timing nominal: evenly spaced" "0.040" "$(values_of frame=pts_time nominal.mkv |
        awk 'NR > 1 {printf "%.3f\n", $1 - last} {last = $1}' | sort -u)"
    works "export --timing nominal of uneven times" export times.store nominal.mkv --timing nominal --overwrite
    same "export --timing nominal of uneven times: evenly spaced" "0.040" "$(values_of frame=pts_time nominal.mkv |
        awk 'NR > 1 {printf "%.3f\n", $1 - last} {last = $1}' | sort -u)"
    misused "export --b-frames" "export makes none" export copy.store no.mp4 --b-frames 2
    works "export --b-frames 0" export copy.store none.mp4 --b-frames 0
    same "export --help: no --b-frames" 0 "$(prints export --help | grep -c -- '--b-frames')"
    fails "export: the file is there" "inside.mp4.*there already" export copy.store inside.mp4
    works "export --overwrite" export copy.store inside.mp4 --overwrite --range :12
    same "export --overwrite: frames" 12 "$(frame_count_of inside.mp4)"
    fails "export into the store" "within the store" export copy.store copy.store/000000.mp4 --overwrite
    fails "export to a container unknown" "no.xyz" export copy.store no.xyz
    fails "export to where nothing can be made" "empty.mp4" export copy.store empty.mp4/no.mp4
    fails "export --range past the end" "60" export copy.store no.mp4 --range 60:70
    nothing_left "refused exports leave nothing" no.
}

transcode_tests() {
    cat >times.store/000000.extra.json <<'JSON'
[{"frame_number": 986, "frame_time": 1000000000.5, "frame_index": 2, "lick": true}]
JSON
    local format
    for format in ffv1/mkv png; do
        works "transcode to $format" transcode times.store to.store --format $format --overwrite --chunk-size 40
        same "transcode to $format: numbers and times" "$(prints frames times.store | cut -d , -f 1-3)" "$(prints frames to.store | cut -d , -f 1-3)"
        matches "transcode to $format: extra data" '"?lick"?: *true' "$(cat to.store/*.extra.json to.store/*/*.extra.json 2>/dev/null)"
    done
    works "transcode of metadata" transcode meta.store to.store --format ffv1/mkv --overwrite --json
    same "transcode --json" "to.store $frames ffv1/mkv" "$(json '*[d[k] for k in ("store", "frames", "format")]' <"$out")"
    same "transcode of metadata: the same" "$(prints info meta.store --json | json 'd["metadata"]')" \
        "$(prints info to.store --json | json 'd["metadata"]')"
    same "transcode without loss: every frame" "$(store_md5 meta.store)" "$(store_md5 to.store)"
    works "transcode --range" transcode meta.store to.store --format jpg --overwrite --range 10:15
    same "transcode --range: numbers" "10 11 12 13 14" "$(prints frames to.store | column 2 | xargs)"
    fails "transcode: the store is there" "to.store.*there already" transcode meta.store to.store --format png
    fails "transcode onto itself" "meta.store.*there already" transcode meta.store meta.store --format png
    local before
    before=$(store_md5 meta.store)
    works "transcode --overwrite onto itself" transcode meta.store meta.store --format ffv1/mkv --overwrite
    same "transcode --overwrite onto itself: every frame" "$before" "$(store_md5 meta.store)"
    fails "transcode to where nothing can be made" "Not a directory" transcode meta.store empty.mp4/no.store --format png
}

timecodes_tests() {
    works "timecodes" timecodes times.store
    same "timecodes: header" "# timecode format v2" "$(head -n 1 "$out")"
    same "timecodes: milliseconds" "$(awk -v n=$frames 'BEGIN {for (i = 0; i < n; ++i) printf "%.6f\n", i * i * 125}')" "$(sed 1d "$out")"
    cp -r times.store holes.store
    sqlite3 holes.store/.index.sqlite 'UPDATE frames SET frame_time = NULL WHERE frame_index IN (0, 3)'
    av timecodes holes.store
    matches "timecodes of frames without a time: told" "frame 0 has no time" "$(cat "$err")"
    same "timecodes: from the first frame that has a time" "0.000000 0.000000 375.000000 375.000000 1875.000000" \
        "$(sed 1d "$out" | head -n 5 | paste -sd ' ')"
}

index_tests() {
    cp -r copy.store index.store
    local before
    before=$(prints frames index.store)
    rm index.store/.index.sqlite
    works "index" index index.store
    same "index: result" "index.store: index of $frames frames made anew" "$(cat "$out")"
    same "index: the same as before" "$before" "$(prints frames index.store)"
    same "index: sound" "ok" "$(sql index.store 'PRAGMA integrity_check')"
    works "index --json" index index.store --json
    same "index --json: frames" $frames "$(json 'd["frames"]' <"$out")"
    head -c 4096 /dev/urandom >index.store/.index.sqlite
    av frames index.store
    same "a database that is corrupt is made anew: status" 0 "$status"
    same "a database that is corrupt is made anew: frames" "$(cut -d , -f 1-5 <<<"$before")" "$(cut -d , -f 1-5 "$out")"
    matches "a database that is corrupt is made anew: said so" "^avstore: index.store" "$(cat "$err")"
}

verify_tests() {
    local store
    for store in plain.store copy.store lossless.store to.store; do
        works "verify $store" verify $store
        works "verify $store --deep" verify $store --deep
    done
    works "verify --json" verify copy.store --json
    same "verify --json: result" "$frames 3 []" "$(json 'd["frames"], d["chunks"], d["findings"]' <"$out" | tr -d '(),')"
    cp -r copy.store damaged.store
    sqlite3 damaged.store/.index.sqlite 'UPDATE frames SET pts = pts + 1 WHERE frame_index = 30'
    ends "verify: a wrong row" 1 "damaged.store" verify damaged.store
    matches "verify: a wrong row is a finding" "30|000001|chunk 1" "$(cat "$out")"
    ends "verify --json: a wrong row" 1 "damaged.store" verify damaged.store --json
    matches "verify --json: a wrong row is a finding" '^[1-9]' "$(json 'len(d["findings"])' <"$out")"
    rm -r damaged.store
    cp -r copy.store damaged.store
    truncate -s -2000 damaged.store/000001.mp4
    ends "verify: a chunk cut off" 1 "damaged.store" verify damaged.store
    rm damaged.store/000001.mp4
    ends "verify: a chunk gone" 1 "damaged.store" verify damaged.store
    matches "verify: a chunk gone is a finding" "000001.mp4" "$(cat "$out")"
    ends "repair: a chunk gone" 0 "000001.mp4: is gone" repair damaged.store
    matches "repair: a chunk gone is beyond it" "nothing that repair can do" "$(cat "$out")"
    rm -r damaged.store
    cp -r copy.store damaged.store
    rm damaged.store/000001.npz
    av verify damaged.store
    same "verify: an index gone" "1 0" "$status $(grep -c "never closed" "$err")"
    matches "verify: an index gone can be repaired" "avstore repair does what is listed" "$(cat "$err")"
    rm -r damaged.store
    cp -r lossless.store damaged.store
    local chunk=damaged.store/000001.mkv
    printf 'damage damage damage' | dd of=$chunk bs=1 seek=$(($(stat -c %s $chunk) / 2)) conv=notrunc status=none
    ends "verify --deep: pixels damaged" 1 "damaged.store" verify damaged.store --deep
}

formats_tests() {
    works "formats" formats
    local format
    for format in mjpeg/avi h264/mkv avc1/mp4 hevc/mp4 hevc/mkv av1/mp4 av1/mkv ffv1/mkv h264-lossless/mkv png tif jpg bmp ppm pgm npy; do
        matches "formats: $format" "(^|"$'\n'")$format " "$(cat "$out")"
    done
    matches "formats: an encoder that works" "libx264 +yes" "$(cat "$out")"
    works "formats --json" formats --json
    same "formats --json: libx264" "True" "$(json '[e["available"] for f in d if f["format"] == "avc1/mp4" for e in f["encoders"]
        if e["encoder"] == "libx264"][0]' <"$out")"
    same "formats --json: hardware" "h264_nvenc h264_vaapi h264_qsv" "$(json '" ".join(e["encoder"] for f in d if f["format"] == "avc1/mp4"
        for e in f["encoders"] if e["hardware"])' <"$out")"
    same "formats --json: reasons for all others" "True" "$(json 'all(e["available"] or e["why_not"] for f in d for e in f["encoders"])' <"$out")"
}

live="testsrc2=size=160x96:rate=25,realtime"

rows_at_least() { # STORE NUMBER
    (( $(sql "$1" 'SELECT count(*) FROM frames') >= $2 ))
}

record_tests() {
    works "record --frames" record "$live" frames.record --input-format lavfi --frames 10
    same "record --frames: rows" 10 "$(sql frames.record 'SELECT count(*) FROM frames')"
    works "record --duration" record "$live" duration.record --input-format lavfi --duration 1 --json
    local count
    count=$(sql duration.record 'SELECT count(*) FROM frames')
    same "record --json: frames" "$count" "$(json 'd["frames"]' <"$out")"
    if (( count >= 15 && count <= 30 )); then
        ok "record --duration: frames"
    else
        not_ok "record --duration: frames" "$count"
    fi
    local now
    now=$(date +%s)
    same "record: times are of arrival" 1 "$(sql duration.record "SELECT abs(max(frame_time) - $now) < 60 FROM frames")"

    timeout 120 "$avstore" record - raw.record --input-format rawvideo --size 160x96 --pixel-format gray8 --fps 50 \
        --format ffv1/mkv >"$out" 2>"$err" <gray.raw
    same "record from standard input: status" "0 " "$? $(cat "$err")"
    same "record from standard input: every frame" "$(md5_of <gray.raw)" "$(prints cat raw.record | md5_of)"
    same "record from standard input: gray" "False" "$(prints info raw.record --json | json 'd["color"]')"
    same "record from standard input: rate" "50/1" "$(ffprobe -loglevel error -show_entries stream=r_frame_rate -of csv=p=0 raw.record/000000.mkv)"
    timeout 120 "$avstore" record - guessed.record --size 160x96 --pixel-format gray8 --format png --chunk-size 4 \
        --metadata rig=3 >"$out" 2>"$err" <gray.raw
    same "record of raw frames into pictures: status" "0 " "$? $(cat "$err")"
    same "record of raw frames into pictures: every frame" "$(md5_of <gray.raw)" "$(prints cat guessed.record | md5_of)"
    same "record of raw frames into pictures: files" 10 "$(find guessed.record -name '*.png' | wc -l)"
    timeout 120 "$avstore" record - contents.record >"$out" 2>"$err" < <(quiet_ffmpeg -i clip.mp4 -c copy -f matroska -)
    same "record of a container on standard input: rows" $frames "$(sql contents.record 'SELECT count(*) FROM frames')"

    fails "record: no such device" "/dev/nosuch" record /dev/nosuch no.record --input-format v4l2
    fails "record: no such encoder" "^avstore: encoder nosuch: not in this build of FFmpeg" record "$live" no.record --encoder nosuch
    fails "record: no such input format" "nosuch" record x no.record --input-format nosuch

    ffmpeg -v error -f lavfi -i testsrc=size=99x61 -frames:v 2 -c:v ffv1 odd.mkv </dev/null
    local slow=(--input-format lavfi --frames 5 --format h264/mkv --preset slow --queue 2)
    ends "record that drops says so" 0 'drops\.store: [0-9]+ of [0-9]+ frames were dropped' \
        record testsrc2=size=1280x720 drops.store "${slow[@]}" --when-full drop
    local last dropped
    last=$(prints frames drops.store | tail -n 1 | cut -d , -f 2)
    dropped=$(grep -c '^dropped: frame_number' "$out")
    same "frames dropped are listed" $((last + 1 - 5)) "$dropped"
    same "frames dropped are not in the store" 5 "$(prints frames drops.store | tail -n +2 | wc -l)"
    fails "record that must not wait" "the queue is full" record testsrc2=size=1280x720 full.store "${slow[@]}" --when-full fail
    works "what came before is kept" verify full.store
    ends "record of an odd size says what is lost" 0 'odd\.store: .*99x61.* lose their last row and column' \
        record testsrc=size=99x61 odd.store --input-format lavfi --frames 2
    ends "import of an odd size says what is lost" 0 'odd2\.store: .*99x61.* lose their last row and column' \
        import odd.mkv odd2.store
    misused "record --when-full unknown" "neither block nor drop nor fail" record x no.record --when-full maybe
    fails "record: no such input option" "nosuch" record "$live" no.record --input-format lavfi --input-option nosuch=1
    fails "record: a source that is no good" "nosuch" record "nosuch=1" no.record --input-format lavfi
    fails "record: no frame comes" "no frame" record - no.record --size 160x96 --pixel-format gray8
    nothing_left "record: what gave nothing leaves nothing" no.record
    fails "record: the store is there" "raw.record.*there already" record "$live" raw.record --input-format lavfi --frames 3
    fails "record: below a file" "Not a directory" record "$live" empty.mp4/no.record --input-format lavfi --frames 3
}

# stopped NAME SIGNAL [MORE]: a recording that a signal ends, MORE of them at once
stopped() {
    local store=$2${3-}.record pid
    "$avstore" record "$live" "$store" --input-format lavfi --keyframe-interval 5 >"$out" 2>"$err" </dev/null &
    pid=$!
    until_true 60 rows_at_least "$store" 10 || not_ok "$1: frames arrive" "no rows"
    same "$1: readable meanwhile" "True" "$(prints info "$store" --json | json 'd["open_for_writing"]')"
    for ((i = 0; i <= ${3-0}; i++)); do
        kill -s "$2" $pid
    done
    wait $pid
    same "$1: status" 0 $?
    matches "$1: result" "$store: [0-9]+ frames" "$(cat "$out")"
    same "$1: closed" "False" "$(prints info "$store" --json | json 'd["open_for_writing"]')"
    same "$1: not locked" "" "$(compgen -G "$store/.lock")"
    same "$1: all frames are there" "$(frame_count_of "$store/000000.mp4")" "$(sql "$store" 'SELECT count(*) FROM frames')"
    works "$1: well" verify "$store" --deep
}

follow_tests() {
    local pid follower
    "$avstore" record "$live" follow.record --input-format lavfi --keyframe-interval 5 --frames 60 >followed 2>&1 </dev/null &
    pid=$!
    until_true 60 rows_at_least follow.record 5 || not_ok "frames --follow: frames arrive" "no rows"
    "$avstore" info follow.record --watch --json >watched 2>"$err" </dev/null &
    follower=$!
    "$avstore" frames follow.record --follow --json >cut.json 2>/dev/null </dev/null &
    local cut=$!
    timeout 60 "$avstore" frames follow.record --follow --range -2: 2>"$err" </dev/null | head -n 3 >few
    same "frames --follow into head ends" "0 3" "${PIPESTATUS[0]} $(wc -l <few)"
    until_true 60 test -s cut.json
    kill -s INT $cut
    wait $cut
    same "frames --follow: Ctrl-C is a proper end" 0 $?
    same "frames --follow: Ctrl-C leaves proper JSON" "True" "$(json 'len(d) > 0 and [f["frame_index"] for f in d] == list(range(len(d)))' <cut.json)"
    works "frames --follow" frames follow.record --follow
    mv "$out" followed
    wait $pid
    wait $follower
    same "info --watch ends with the recording" 0 $?
    same "frames --follow: every frame" "$(prints frames follow.record)" "$(cat followed)"
    same "frames --follow: as many as there are" 60 "$(sql follow.record 'SELECT count(*) FROM frames')"
    same "info --watch: ever more, to the end" "True 60 False" "$(python3 -c '
import json, sys
seen = [json.loads(line) for line in open("watched")]
counts = [s["frame_count"] for s in seen]
print(counts == sorted(counts) and seen[0]["recording"], counts[-1], seen[-1]["recording"])')"
    works "frames --follow of a closed store" frames follow.record --follow --range 58:
    same "frames --follow of a closed store: ends" "58 59" "$(sed 1d "$out" | cut -d , -f 1 | xargs)"
    works "info --watch of a closed store" info follow.record --watch
    matches "info --watch of a closed store: ends" "State +closed" "$(cat "$out")"
    misused "frames --follow with an end" "range without an end" frames follow.record --follow --range :5
}

# On a terminal of 80 columns: what matters is there, however long the name.
terminal_tests() {
    same "record's status on a terminal" "True True" "$(python3 - "$avstore" "$live" <<'EOF'
import fcntl, os, pty, re, struct, subprocess, sys, termios
ours, theirs = pty.openpty()
fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
subprocess.Popen([sys.argv[1], "record", sys.argv[2], "terminal.record", "--input-format", "lavfi", "--frames", "40", "--encoder", "libx264",
                  "--camera", "a_name_that_is_much_longer_than_there_is_room_for_on_any_terminal", "--status-interval", "0.1"],
                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
os.close(theirs)
text = b""
try:
    while more := os.read(ours, 65536):
        text += more
except OSError:
    pass  # the other end is closed
lines = [line for line in re.split(r"[\r\n]+|\x1b\[[A-Z]", text.decode()) if "durable" in line]
whole = re.compile(r"a_name\S*~ +[\d.]+/s  dropped 0  durable \d+  queue \d+/64  [\d.]+ GiB  libx264$")
print(any(whole.match(line) for line in lines), all(len(line) < 80 for line in lines))
EOF
)"
}

# Terminals that take nothing, as after Ctrl-S, keep no recording from ending.
full_terminal_tests() {
    cat >full_terminal.py <<'EOF'
import os, pty, signal, sqlite3, subprocess, sys, time
avstore, live, store, then = sys.argv[1:]

def until(condition):
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()

def records():
    try:
        return sqlite3.connect(f"file:{store}/.index.sqlite?mode=ro", uri=True).execute("SELECT count(*) FROM frames").fetchone()[0] >= 5
    except sqlite3.OperationalError:
        return False

ours, theirs = pty.openpty()
unwaited = os.open(os.ttyname(theirs), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
try:
    while True:
        os.write(unwaited, b".")
except BlockingIOError:
    pass
os.close(unwaited)
json = then == "unread"
recorder = subprocess.Popen([avstore, "record", live, store, "--input-format", "lavfi", "--keyframe-interval", "5"] + ["--status-json"] * json,
                            stdin=subprocess.DEVNULL, stdout=theirs if json else subprocess.DEVNULL, stderr=theirs)
os.close(theirs)
print("records" if until(records) else "does not record", end=" ")
recorder.send_signal(signal.SIGTERM)
if json:
    print("ended" if until(lambda: recorder.poll() is not None) else "stays", end=" ")
else:
    text = b""
    try:
        while more := os.read(ours, 65536):
            text += more
    except OSError:
        pass  # the other end is closed
    print("told" if b"avstore: stopping;" in text else "told nothing", end=" ")
    until(lambda: recorder.poll() is not None)
print(recorder.poll())
recorder.kill()
EOF
    same "SIGTERM while the terminal takes no message until then" "records told 0" \
        "$(python3 full_terminal.py "$avstore" "$live" full1.record read)"
    works "SIGTERM while the terminal takes no message until then: well" verify full1.record --deep
    same "SIGTERM while the terminal takes nothing" "records ended 0" \
        "$(python3 full_terminal.py "$avstore" "$live" full2.record unread)"
    works "SIGTERM while the terminal takes nothing: well" verify full2.record --deep
}

rig_tests() {
    cat >rig.yaml <<'EOF'
store: "rig/{camera}.store"
input-format: lavfi
format: ffv1/mkv
cameras:
  - {name: left, source: "testsrc=size=160x96:rate=25,realtime", metadata: {side: left}}
  - {name: right, source: "testsrc2=size=96x64:rate=50,realtime"}
EOF
    mkdir rig
    works "record --config" record --config rig.yaml --frames 10 --status-json --status-interval 0.1
    mv "$out" status.jsonl
    same "record --config: both stores" "10 10" "$(sql rig/left.store 'SELECT count(*) FROM frames') $(sql rig/right.store 'SELECT count(*) FROM frames')"
    same "record --status-json: states and ends" "True True ['frames', 'frames'] [10, 10]" "$(python3 -c '
import json
lines = [json.loads(line) for line in open("status.jsonl")]
status = [l for l in lines if l["event"] == "status"]
ends = [l for l in lines if l["event"] == "end"]
members = {"event", "time", "seconds", "camera", "store", "state", "frames_before", "frames_arrived", "frames_per_second", "frames_encoded",
           "frames_durable", "frames_dropped", "frames_undecodable", "frames_damaged", "queue_frames", "queue_limit", "queue_bytes", "encode_latency", "total_latency", "bytes_written", "gaps", "disk_free", "disk_size",
           "encoder", "trouble"}
print(len(status) >= 4 and all(set(s) == members for s in status),
      [s["frames_durable"] for s in status if s["camera"] == "left"][-1] == 10 and status[-1]["state"] == "ended",
      [e["ended"] for e in ends], [e["frames"] for e in ends])')"
    same "record --config: every frame" "$(ffmpeg -nostdin -loglevel error -f lavfi -i testsrc=size=160x96:rate=25 -frames:v 10 -pix_fmt rgb24 \
        -f rawvideo - | md5_of)" "$(prints cat rig/left.store --pixel-format rgb24 | md5_of)"
    matches "record --config: metadata" "side: left" "$(cat rig/left.store/metadata.yaml)"
    fails "record --config: a store is there" "camera 'left'.*left.store.*there already" record --config rig.yaml
    misused "record --config with options" "--format: cannot stand beside --config" record --config rig.yaml --format png
    misused "record without a source" "SOURCE" record
    misused "record --min-free" "no number of bytes" record - no.record --min-free much
    sed 's/side: left/sid/; s/right,/right, colour: red,/' rig.yaml >wrong.yaml
    fails "record --config: an unknown key" "wrong.yaml: line 6: camera 'right': unknown key 'colour'" record --config wrong.yaml
    # but for those of the program and of the rig as a whole
    local keys lacking="" option
    keys=" $(sed 's/.*known are //; s/,//g' "$err") "
    for option in $(prints record --help | grep -oP '^ +\K--[a-z-]+' | grep -vxE -- \
        '--(help|config|json|camera|frames|duration|min-free|status-json|status-interval)'); do
        [[ $keys == *" ${option#--} "* ]] || lacking+=" $option"
    done
    same "record --config: the options of record are keys of a camera" "" "$lacking"
    sed 's/left.store/x/; s/{camera}/{camera}-{time}/; s/testsrc2=/nosuchfilter=/' rig.yaml >failing.yaml
    ends "record --config: one camera fails" 1 "camera 'right'.*nosuchfilter" record --config failing.yaml --frames 5
    matches "record --config: the other does not" "left-.*.store: 5 frames in .*; as many as asked for" "$(cat "$out")"
    fails "record: an address with a password" '^avstore: tcp://127.0.0.1:1:[^@]*$' \
        record tcp://admin:S3cret@127.0.0.1:1 no.record --input-format avstore-raw
    terminal_tests
    full_terminal_tests
    fails "record: too little room" "GiB free" record "$live" no.record --input-format lavfi --min-free 99.99999%
    nothing_left "record: too little room leaves nothing" no.record

    rm -r rig
    mkdir rig
    "$avstore" record --config rig.yaml --json >"$out" 2>"$err" </dev/null &
    local pid=$!
    until_true 60 rows_at_least rig/left.store 10
    until_true 60 rows_at_least rig/right.store 10
    kill -s TERM $pid
    wait $pid
    same "SIGTERM while two cameras are recorded: status" "0 " "$? $(cat "$err")"
    same "SIGTERM while two cameras are recorded: told" "['stopped', 'stopped']" "$(json '[c["ended"] for c in d]' <"$out")"
    for store in rig/left.store rig/right.store; do
        works "SIGTERM while two cameras are recorded: $store is whole" verify $store --deep
    done

    local kind
    for kind in --status-json --json; do
        "$avstore" record unix:nobody$kind --input-format avstore-raw --input-option listen=1 none.record $kind \
            --status-interval 0.1 >"$out" 2>"$err" </dev/null &
        pid=$!
        until_true 60 test -S nobody$kind
        kill -s TERM $pid
        wait $pid
        same "SIGTERM before a frame came, $kind: status" 130 $?
        matches "SIGTERM before a frame came, $kind: one line" '^avstore: unix:nobody[^'$'\n'']*interrupted$' "$(cat "$err")"
        same "SIGTERM before a frame came, $kind: told" "stopped 0" "$(grep -v '"event": *"status"' "$out" | json 'd["ended"] + " " + str(d["frames"])')"
    done
    nothing_left "SIGTERM before a frame came: nothing left" none.record

    "$root"/apps/feeder.py --frames 5 --fps 100 --size 64x48 >five.raw
    python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind("five")
s.listen()
open("listening", "w").close()
client = s.accept()[0]
client.sendall(open("five.raw", "rb").read())' &
    pid=$!
    until_true 60 test -e listening
    av record unix:five five.record --input-format avstore-raw --reconnect 0.3
    same "record: the source does not come back: status" 1 $status
    matches "record: the source does not come back" "unix:five: was lost and did not come back: the connection ended" "$(cat "$err")"
    matches "record: a gap at the end is told" "gap: at the end, [0-9.]+ s without a frame: the connection ended" "$(cat "$out")"
    wait $pid

    "$root"/apps/feeder.py --frames 12 --fps 200 --size 64x48 | timeout 60 "$avstore" record - fed.record --input-format avstore-raw \
        --format ffv1/mkv >"$out" 2>"$err"
    same "feeder.py: status" "0 " "${PIPESTATUS[1]} $(cat "$err")"
    same "feeder.py: numbers" "$(seq -s ' ' 1000 1011)" "$(sql fed.record 'SELECT frame_number FROM frames' | xargs)"
    same "feeder.py: extra data" "0,1000,0.004" "$(prints extra fed.record | cut -d , -f 1,2,4 | tail -n 1)"
    same "feeder.py: every pixel" "$(python3 -c '
import sys
sys.path.insert(0, sys.argv[1])
import feeder
for i in range(12): sys.stdout.buffer.write(feeder.picture(64, 48, i))' "$root/apps" | md5_of)" "$(prints cat fed.record --pixel-format gray8 | md5_of)"
    for kind in --json --status-json --queue=64; do
        { cat five.raw; head -c 300 five.raw | tr '[:upper:]' '[:lower:]'; } >lie.raw
        unread timeout 60 "$avstore" record - lied$kind.record --input-format avstore-raw $kind <lie.raw 2>"$err"
        same "record of a bad stream while nobody reads, $kind: status" 1 "$status"
        matches "record of a bad stream while nobody reads, $kind: message" '^avstore: standard input: no frame begins' "$(cat "$err")"
    done
    "$root"/apps/feeder.py --frames 100000 --fps 100 2>"$err" | timeout 60 "$avstore" record - few.record --input-format avstore-raw \
        --frames 5 >"$out"
    same "feeder.py ends when it is told to" "0  5" "${PIPESTATUS[1]} $(cat "$err") $(sql few.record 'SELECT count(*) FROM frames')"
}

# catches_interrupts PROCESS: whether it has set up its handling of SIGINT, the second of the signals in the mask
catches_interrupts() {
    grep -qE '^SigCgt:.*[2367abef]$' "/proc/$1/status"
}

# interrupted NAME SIGNAL MADE ARGUMENT...: work that a signal ends while MADE or something named alike is being made
interrupted() {
    local name=$1 signal=$2 made=$3 pid; shift 3
    "$avstore" "$@" >"$out" 2>"$err" </dev/null &
    pid=$!
    until_true 60 compgen -G "$made*" >/dev/null
    kill -s "$signal" $pid
    wait $pid
    same "$name: status" 130 $?
    matches "$name: one line" '^avstore: [^'$'\n'']*interrupted$' "$(cat "$err")"
    nothing_left "$name: nothing left" "$made"
}

# A recording that is told to stop while nobody takes what it writes to standard output.
stopped_unread() {
    local pid kind
    for kind in --json --status-json; do
        mkfifo full
        exec 3<>full
        dd if=/dev/zero bs=4096 count=16 status=none >&3 # as much as a pipe holds
        "$avstore" record "$live" unread$kind.record --input-format lavfi --keyframe-interval 5 $kind --status-interval 0.01 \
            >&3 2>"$err" </dev/null &
        pid=$!
        until_true 60 rows_at_least unread$kind.record 5
        kill -s INT $pid
        kill_after 60 $pid &
        wait $pid
        same "Ctrl-C while nobody reads, $kind: status" 0 $?
        kill $! 2>/dev/null
        same "Ctrl-C while nobody reads, $kind: message" \
            "avstore: standard output: nobody takes the results, which are left out, since this was told to stop" "$(cat "$err")"
        exec 3>&-
        rm full
        works "Ctrl-C while nobody reads, $kind: well" verify unread$kind.record --deep
    done
}

# A recording that cannot end, because another program has its database locked.
stopped_later() {
    local pid
    "$avstore" record "$live" later.record --input-format lavfi --keyframe-interval 5 >"$out" 2>"$err" </dev/null &
    pid=$!
    until_true 60 rows_at_least later.record 5
    coproc locker { python3 -c '
import sqlite3, sys
database = sqlite3.connect("later.record/.index.sqlite", isolation_level=None, timeout=60)
database.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()'; }
    read -r <&"${locker[0]}"
    kill -s INT $pid
    sleep 2.1 # those that come sooner are the same Ctrl-C
    kill -s INT $pid
    wait $pid
    same "Ctrl-C that comes again later: status" 130 $?
    matches "Ctrl-C that comes again later: message" \
        'avstore: told to stop once more: ended at once, and what was not finished is lost$' "$(cat "$err")"
    # shellcheck disable=SC2154 # coproc makes it
    kill "$locker_PID"
    wait "$locker_PID"
}

signal_tests() {
    stopped "Ctrl-C while recording" INT
    stopped "SIGTERM while recording" TERM
    stopped "Ctrl-C, which comes twice, while recording" INT 20
    stopped "SIGTERM, which comes twice, while recording" TERM 20
    stopped_unread
    stopped_later
    interrupted "Ctrl-C while importing" INT no.int import long.mp4 no.int --preset slow
    interrupted "SIGTERM while importing" TERM no.int import long.mp4 no.int --preset slow
    av import long.mp4 long.store --copy
    interrupted "Ctrl-C while transcoding" INT no.int transcode long.store no.int --format h264/mkv --preset slow
    interrupted "Ctrl-C while exporting" INT no.int export long.store no.int.mp4 --range 1:249 --preset slow

    head -c $((160 * 96 * 10 + 100)) <(cat gray.raw gray.raw) >part.raw
    "$avstore" record - part.record --size 160x96 --pixel-format gray8 >"$out" 2>"$err" <part.raw
    same "record of raw frames that end inside one" 0 $?
    matches "record of raw frames that end inside one: says so" "only in part" "$(cat "$err")"
    same "record of raw frames that end inside one: the others" 9 "$(prints frames part.record | tail -n 1 | cut -d , -f 1)"
    misused "record: raw frames without a pixel format" "--pixel-format" record - no.store --size 10x10

    # Whatever a source does not send must not keep Ctrl-C from ending a recording.
    mkfifo silent
    sleep 300 >silent &
    local writer=$! pid begin=$SECONDS
    "$avstore" record - quiet.record --size 160x96 --pixel-format gray8 >"$out" 2>"$err" <silent &
    pid=$!
    until_true 60 catches_interrupts $pid
    kill -s INT $pid
    kill_after 20 $pid &
    wait $pid
    if (( SECONDS - begin < 15 )); then
        ok "Ctrl-C while no frame comes"
    else
        not_ok "Ctrl-C while no frame comes" "went on for $((SECONDS - begin)) s"
    fi
    kill $! $writer 2>/dev/null
    rm silent
}

# unread COMMAND...: runs it with its output in a pipe that nobody reads any more; leaves its status in $status
unread() {
    exec 3> >(:)
    wait $!
    "$@" >&3
    status=$?
    exec 3>&-
}

# closed_pipe ARGUMENT...: a reader that goes away is no error
closed_pipe() {
    unread prints "$@"
    same "$1 into a pipe that is closed" "0 " "$status $(cat "$err")"
}

# failing_unread NAME ARGUMENT...: what fails does so whoever reads what it found
failing_unread() {
    local name=$1; shift
    unread prints "$@"
    same "$name into a pipe that is closed: status" 1 "$status"
}

full_disk() {
    timeout 120 "$avstore" "$@" >/dev/full 2>"$err" </dev/null
    status=$?
    same "$1 onto a full disk: status" 1 "$status"
    matches "$1 onto a full disk: message" '^avstore: standard output:[^'$'\n'']*No space left' "$(cat "$err")"
}

output_tests() {
    local command
    for command in info frames timecodes framemd5 cat verify; do
        closed_pipe $command plain.store
        full_disk $command plain.store
    done
    cp -r plain.store broken.store
    rm broken.store/*.npz
    failing_unread "verify of a broken store" verify broken.store
    failing_unread "verify --json of a broken store" verify broken.store --json
    full_disk formats
    full_disk --help
    prints cat lossless.store | head -c 1000 >/dev/null
    same "cat into head" "0" "${PIPESTATUS[0]}"
    timeout 120 "$avstore" frames plain.store >&- 2>"$err" </dev/null
    same "standard output closed" 1 $?
    works "with standard input closed" verify plain.store <&-

    # No thread can be made, since there is no room for its stack.
    (ulimit -s 4000000 && ulimit -v 3000000 && exec "$avstore" info nowhere) >"$out" 2>"$err" </dev/null
    same "no thread can be made: status" 1 $?
    same "no thread can be made: message" "avstore: nowhere: no such store" "$(cat "$err")"

    # a terminal gets a bar, once the work takes more than a second
    if command -v script >/dev/null; then
        script -qec "'$avstore' import long.mp4 bar.store --preset faster" /dev/null </dev/null >bar 2>/dev/null
        matches "a bar on a terminal" '[0-9]+ %  [0-9]+/250 frames  [0-9]+/s  [0-9]+:[0-9]+ left' "$(cat bar)"
    else
        skip "a bar on a terminal" "there is no program script"
    fi
}

permission_tests() {
    if (( EUID == 0 )); then
        skip "folders that cannot be written" "root can write everywhere"
        return
    fi
    mkdir locked
    cp -r copy.store locked/copy.store
    rm locked/copy.store/.index.sqlite
    chmod a-w locked locked/copy.store
    fails "import into a folder that cannot be written" "Permission denied" import clip.mp4 locked/no.store
    fails "export into a folder that cannot be written" "Permission denied" export copy.store locked/no.mp4
    fails "extract into a folder that cannot be written" "Permission denied" extract copy.store --index 0 -o locked/no.png
    av framemd5 locked/copy.store
    same "a store without database that cannot be written is read" "$(prints framemd5 copy.store)" "$(cat "$out")"
    chmod u+w locked locked/copy.store
}

# Stores that others wrote.
golden_tests() {
    local golden=$root/data/golden
    if [[ ! -d $golden ]]; then
        skip "stores of the reference" "data/golden is not there"
        return
    fi
    cp -r "$golden/bayer_bg_png" "$golden/missing_index_avc1" "$golden/motif_extra_h5" .
    chmod -R u+w bayer_bg_png missing_index_avc1 motif_extra_h5

    # Nobody has read its chunks yet.
    rm -f missing_index_avc1/.index.sqlite
    local keys
    keys=$(ffprobe -v error -select_streams v -show_entries packet=flags -of csv=p=0 missing_index_avc1/000000.mp4 | cut -c1 |
        sed 's/K/1/; s/_/0/')
    for save in --no-save ""; do
        # shellcheck disable=SC2086 # none or one
        av frames missing_index_avc1 --range "0:$(wc -w <<<"$keys")" $save
        same "frames of a store of others: keyframes $save" "$keys" "$(sed 1d "$out" | cut -d, -f7)"
        same "frames of a store of others: PTS $save" 0 "$(sed 1d "$out" | cut -d, -f6 | grep -c '^$')"
    done
    av export missing_index_avc1 others.mp4 --no-save
    same "export of a store of others, unsaved: every frame" "$(prints framemd5 missing_index_avc1 | wc -l)" "$(ffmpeg_md5 others.mp4 | wc -l)"
    rm -f missing_index_avc1/.index.sqlite

    works "--no-save: info" info bayer_bg_png --no-save
    works "--no-save: transcode" transcode bayer_bg_png unsaved.png --format png --range 0:2 --no-save
    works "--no-save: export" export bayer_bg_png unsaved.mkv --no-save
    works "--no-save: align" align bayer_bg_png unsaved.png --no-save
    works "verify" verify bayer_bg_png
    same "--no-save writes nothing" "" "$(find bayer_bg_png -name .index.sqlite)"
    matches "raw sensor data are named" 'Encoding +cv_bayerbg' "$(prints info bayer_bg_png)"
    same "an index that was made is kept" "bayer_bg_png/.index.sqlite" "$(find bayer_bg_png -name .index.sqlite)"
    works "extract a picture of sensor data" extract bayer_bg_png --index 0 -o picture.ppm
    works "extract the sensor data" extract bayer_bg_png --index 0 --raw -o mosaic.pgm
    same "a picture has colour" P6 "$(head -c 2 picture.ppm)"
    same "sensor data have none" P5 "$(head -c 2 mosaic.pgm)"

    ffmpeg -v error -f lavfi -i testsrc=size=32x24 -frames:v 2 -pix_fmt gray -c:v ffv1 mosaic.mkv </dev/null
    works "import that decodes sensor data" import mosaic.mkv decoded.store --format png+color --encoding cv_bayerrg
    matches "decoded sensor data are colour" 'png .* colour' "$(prints info decoded.store | tr '\n' ' ')"
    same "decoded sensor data are none any more" "" "$(prints info decoded.store | grep Encoding)"
    fails "what is to be decoded has an encoding" "needs the encoding" import mosaic.mkv no.store --format png+color

    av info missing_index_avc1
    matches "a chunk without index is named" '000001\.mp4' "$(cat "$err")"
    same "the frames of the others are read" 20 "$(prints framemd5 missing_index_avc1 | wc -l)"

    works "no extra data" extra bayer_bg_png
    same "no extra data: the heading alone" "frame_index,frame_number,frame_time" "$(cat "$out")"
    if [[ $(prints extra motif_extra_h5) == "" ]]; then
        skip "extra data in HDF5" "built without HDF5"
        return
    fi
    same "extra: a line a record" 185 "$(prints extra motif_extra_h5 | wc -l)"
    same "extra: the first record" "0,0,1500001000.25,0,0,-0.0015" "$(prints extra motif_extra_h5 | sed -n 2p)"
    same "extra --json" "184 800.0" "$(prints extra motif_extra_h5 --json | python3 -c \
        'import json, sys; e = json.load(sys.stdin); print(len(e["records"]), e["sample_rates"]["daq"])')"
    echo "no HDF5" >motif_extra_h5/000001.extra_data.h5
    fails "extra: a damaged chunk" "000001.extra_data.h5" extra motif_extra_h5
    av extra motif_extra_h5 --ignore-corrupt
    same "extra --ignore-corrupt" 0 "$status"
    matches "extra --ignore-corrupt says what it leaves out" '000001\.extra_data\.h5.*left out' "$(cat "$err")"
    same "extra --ignore-corrupt leaves out that chunk" 105 "$(wc -l <"$out")"
    fails "transcode: a damaged chunk of extra data" "000001.extra_data.h5" transcode motif_extra_h5 motif.store --format npy
    av transcode motif_extra_h5 motif.store --format npy --ignore-corrupt
    same "transcode --ignore-corrupt" 0 "$status"
    matches "transcode --ignore-corrupt says what it leaves out" '000001\.extra_data\.h5.*left out' "$(cat "$err")"
    same "transcode --ignore-corrupt leaves out that chunk" 105 "$(prints extra motif.store | wc -l)"
}

# What is in a store's folder, with and without times. SQLite's index of a log is not part of what it holds.
state_of() {
    (cd "$1" && find . -printf '%p %s %T@ %C@\n' | sort && find . -type f | sort | xargs md5sum)
}
bytes_of() {
    (cd "$1" && find . -type f ! -name '*-shm' | sort | xargs md5sum)
}

# killed.store with a frame's head in the file overwritten: that of one in the middle on which no keyframe depends.
damaged_repair_tests() {
    cp -r killed.store hurt.store
    local chunk=hurt.store/000000.mkv before kept dropped place
    place=$(ffprobe -loglevel quiet -show_entries packet=pos,flags -of csv=p=0 $chunk | grep -v K | sed -n "$((count / 2))s/,.*//p")
    dd if=/dev/zero of=$chunk bs=1 count=8 seek=$((place - 2)) conv=notrunc status=none
    before=$(bytes_of hurt.store)
    ends "repair --dry-run of a damaged recording" 1 "frames? cannot be read and would be dropped" repair hurt.store --dry-run
    same "repair --dry-run of a damaged recording changes nothing" "$before" "$(bytes_of hurt.store)"
    av repair hurt.store --dry-run --json
    kept=$(json 'd["frames"]' <"$out") dropped=$(json 'd["frames_dropped"]' <"$out")
    same "repair --dry-run --json: every frame is kept or dropped" "$count" $((kept + dropped))
    same "repair --dry-run --json: some are dropped, others kept" "1 1" "$((dropped > 0)) $((kept > 0))"
    ends "repair of a damaged recording" 1 "hurt.store: $dropped frames? could not be read and were dropped" repair hurt.store
    matches "repair of a damaged recording: which" "$dropped of its $count frames cannot be read: frame_number [0-9]" "$(cat "$out")"
    matches "repair of a damaged recording: where it was put" "lies in hurt.store/.put-aside/repair-1" "$(cat "$out")"
    same "repair of a damaged recording: what is kept" "$kept" "$(sql hurt.store 'SELECT count(*) FROM frames')"
    same "repair of a damaged recording: what is in the video" "$kept" \
        "$(ffprobe -loglevel quiet -count_packets -show_entries stream=nb_read_packets -of csv=p=0 hurt.store/000000.mkv)"
    av framemd5 hurt.store
    same "repair of a damaged recording: all of it can be read" "0 $kept" "$status $(grep -vc '^#' "$out")"
    fails "verify says what repair dropped" "listed on standard output" verify hurt.store
    matches "verify says what repair dropped: which" "dropped $dropped frames? .*avstore repair --undo" "$(cat "$out")"
    works "info after frames were dropped" info hurt.store
    matches "info says what repair dropped" "Lost +000000.mkv: a repair dropped $dropped frame" "$(cat "$out")"
    same "info --json says what repair dropped" 1 "$(prints info hurt.store --json | json 'len(d["losses"])')"
    works "repair again" repair hurt.store
    matches "repair again does not say that all is well" "an earlier repair has dropped frames" "$(cat "$out")"
    works "repair --undo" repair hurt.store --undo
    matches "repair --undo says what it does" "000000.mkv: is as it was before the repair" "$(cat "$out")"
    same "repair --undo brings all bytes back" "$before" "$(bytes_of hurt.store)"
    fails "repair --undo once more" "no repair to undo" repair hurt.store --undo
    av repair hurt.store
    works "record --append to what was repaired" record "$live" hurt.store --input-format lavfi --frames 5 --append
    fails "repair --undo after record --append" "lists other frames.*not undone" repair hurt.store --undo
}

# A recording that is killed, completed, and gone on with.
repair_tests() {
    "$avstore" record "$live" killed.store --input-format lavfi --format h264/mkv --chunk-size 1000 >/dev/null 2>&1 </dev/null &
    local recorder=$! count before
    until (( $(sql killed.store 'SELECT count(*) FROM frames' 2>/dev/null || echo 0) > 20 )); do
        kill -0 $recorder || break
    done
    fails "repair of a store that is being recorded" "killed.store: is being recorded, by process $recorder" repair killed.store
    fails "record --append to it" "is being recorded" record "$live" killed.store --input-format lavfi --frames 5 --append
    kill -9 $recorder
    wait $recorder 2>/dev/null
    count=$(sql killed.store 'SELECT count(*) FROM frames')
    works "info of a killed recording" info killed.store
    matches "info of a killed recording: state" "unfinished.*avstore repair" "$(cat "$out")"
    fails "verify of a killed recording" "was never closed" verify killed.store
    matches "verify says what repair would do" "to repair: 000000.mkv: is finished, with $count frames" "$(cat "$out")"
    fails "record --append to a killed recording" "avstore repair completes it" \
        record "$live" killed.store --input-format lavfi --frames 5 --append
    before=$(state_of killed.store)
    works "repair --dry-run" repair killed.store --dry-run
    same "repair --dry-run changes nothing" "$before" "$(state_of killed.store)"
    damaged_repair_tests
    works "repair" repair killed.store
    av import clip.mp4 unrepaired.store --copy
    fails "repair --undo where there is nothing to undo" "no repair to undo" repair unrepaired.store --undo
    misused "repair --undo --dry-run" "excludes" repair killed.store --undo --dry-run
    works "verify after repair" verify killed.store --deep
    same "repair: every frame" "$count" "$(sql killed.store 'SELECT count(*) FROM frames')"
    same "repair: the index of numbers" "$count" \
        "$(unzip -p killed.store/000000.npz frame_number.npy | head -c 128 | grep -aoE '\([0-9]+,\)' | tr -dc 0-9)"
    works "repair of a complete store" repair killed.store
    matches "repair of a complete store: what it says" "nothing to be done" "$(cat "$out")"
    works "record --append" record "$live" killed.store --input-format lavfi --frames 10 --append
    same "record --append: frames and numbers go on" "$((count + 10))|$((count + 9))|1" \
        "$(sql killed.store 'SELECT count(*), max(frame_number), max(chunk) FROM frames')"
    works "verify after record --append" verify killed.store --deep
    cp -r killed.store old.store
    mkdir moved && mv old.store/* old.store/.index.sqlite moved && mv moved old.store/.replaced
    fails "info of a store whose replacement was killed" "avstore repair brings the store back" info old.store
    fails "verify of it" "avstore repair does what is listed" verify old.store
    matches "verify of it says what repair would do" "to repair: the store that was to be replaced is brought back" "$(cat "$out")"
    works "repair brings it back" repair old.store
    works "verify of the store brought back" verify old.store --deep
    misused "record --append --overwrite" "excludes" record "$live" no.record --input-format lavfi --append --overwrite
    fails "repair of what is no store" "no such|not a store|metadata.yaml" repair clip.mp4
}

# Whole stores: renumbering, aligning, local times, trying everything out.
tools_tests() {
    printf 'frame_number,frame_time\n' >started.csv
    printf '%s,%s\n' 7 1709296200 8 1709296200.04 0 1709296200.08 1 1709296200.12 2 1709296200.16 >>started.csv
    av import clip.mp4 all.store --copy
    av cat all.store --range 0:5 --pixel-format gray8
    cp "$out" five.gray
    local size
    size=$(prints info all.store --json | python3 -c 'import json, sys; i = json.load(sys.stdin); print(i["width"], "x", i["height"], sep="")')
    ffmpeg -loglevel error -f rawvideo -pixel_format gray -video_size "$size" -framerate 25 -i five.gray -c:v ffv1 five.mkv
    TZ=Europe/Vienna av import five.mkv left.store --format ffv1/mkv --times started.csv

    matches "info: local time" 'Local time +2024-03-01T13:30:00.000000\+01:00 to 2024-03-01T13:30:00.160000\+01:00' \
        "$(prints info left.store)"
    same "info --json: local time" "2024-03-01T13:30:00.160000+01:00" \
        "$(prints info left.store --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["local_time_max"])')"
    same "frames --local" "0,2024-03-01T13:30:00.080000+01:00" "$(prints frames left.store --local | sed -n 4p | cut -d, -f2,8)"
    same "frames --local --json" "2024-03-01T13:30:00.040000+01:00" \
        "$(prints frames left.store --local --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[1]["local_time"])')"

    works "a second camera" import five.mkv right.store --format ffv1/mkv --numbers=-1 --start-time 1709296200.05
    works "reindex" reindex left.store
    same "reindex: what it says" "left.store: 2 of 5 frames renumbered, those before frame_index 2" "$(cat "$out")"
    same "reindex: the numbers" "-2 -1 0 1 2" "$(prints frames left.store | tail -n +2 | cut -d, -f2 | paste -sd ' ')"
    same "reindex: the database" "-2 -1 0 1 2" "$(sqlite3 left.store/.index.sqlite 'SELECT frame_number FROM frames' | paste -sd ' ')"
    same "reindex --json, nothing to do" "0 2" "$(prints reindex left.store --json | python3 -c \
        'import json, sys; r = json.load(sys.stdin); print(r["renumbered"], r["zero_frame_index"])')"
    av import five.mkv later.store --format ffv1/mkv --numbers 5
    fails "reindex without a frame 0" "0 frames have number 0" reindex later.store
    works "a store renumbered is sound" verify left.store --deep

    works "align" align left.store right.store
    same "align: heading" "frame_number,frame_time,frame_index_1,frame_number_1,frame_time_1,shown_1,frame_index_2,frame_number_2,frame_time_2,shown_2" \
        "$(head -n 1 "$out")"
    same "align by number" "-1:1:0 0:2:1 1:3:2 2:4:3" "$(tail -n +2 "$out" | awk -F, '{print $1 ":" $3 ":" $7}' | paste -sd ' ')"
    av align left.store right.store --by time --policy hold
    same "align by time, hold" "0:match:black 1:match:match 2:match:match 3:match:match 4:match:match 5:hold:match" \
        "$(tail -n +2 "$out" | awk -F, '{print $1 ":" $6 ":" $10}' | paste -sd ' ')"
    av align left.store right.store --by time --tolerance 0.001
    same "align by time, tolerance" 1 "$(wc -l <"$out")"
    same "align --json" "6 black None" "$(prints align left.store right.store --policy black --json | python3 -c \
        'import json, sys; p = json.load(sys.stdin)["places"]; f = p[0]["frames"][1]; print(len(p), f["shown"], f["frame_index"])')"
    works "align --stores" align left.store right.store --stores aligned --format ffv1/mkv
    same "aligned stores: the same numbers" "$(prints frames aligned/left.store | cut -d, -f2)" \
        "$(prints frames aligned/right.store | cut -d, -f2)"
    same "aligned stores: the frames" "$(prints framemd5 left.store --indices 1:5 | cut -d, -f4)" \
        "$(prints framemd5 aligned/left.store | cut -d, -f4)"
    works "align --side-by-side" align left.store right.store --side-by-side both.mp4
    works "align --side-by-side, in capitals" align left.store right.store --side-by-side both.MP4
    same "align --side-by-side, in capitals: a video" "$(ffmpeg_md5 both.mp4)" "$(ffmpeg_md5 both.MP4)"
    same "side by side: width" $((2 * ${size%x*})) \
        "$(ffprobe -v error -show_entries stream=width -of csv=p=0 both.mp4)"
    fails "align one store" "two stores" align left.store
    misused "align by nonsense" "neither number nor time" align left.store right.store --by size

    works "doctor" doctor --format png --format ffv1/mkv
    matches "doctor: the table" 'ffv1/mkv +ffv1 +gray16 +works +exact' "$(cat "$out")"
    same "doctor --json" "True 7 works" "$(prints doctor --format png --json | python3 -c \
        'import json, sys; d = json.load(sys.stdin); print(d["well"], len(d["checks"]), d["checks"][0]["result"])')"
    # No file may become larger than 8 KiB: nothing can be stored.
    (trap '' XFSZ; ulimit -f 8; exec "$avstore" doctor --format npy) >"$out" 2>"$err" </dev/null
    same "doctor where nothing works: status" 1 $?
    matches "doctor where nothing works: the table" 'npy +gray8 +FAILED' "$(cat "$out")"
    matches "doctor where nothing works: message" '^avstore: not everything works' "$(cat "$err")"
    fails "doctor where nothing can be written" "cannot make a temporary folder" doctor --format png --folder no/such
}

if ! make_media; then
    not_ok "test videos" "ffmpeg cannot make them"
    echo "$passed passed, $failed failed, $skipped skipped"
    exit 1
fi
for group in "${groups[@]}"; do
    # shellcheck disable=SC2086 # a list of words
    for tests in ${functions_of[$group]}; do
        begin=$EPOCHREALTIME
        $tests
        awk -v begin="$begin" -v end="$EPOCHREALTIME" -v name="$tests" 'BEGIN {printf "%.1f s: %s\n", end - begin, name}'
    done
done
echo "$passed passed, $failed failed, $skipped skipped"
(( failed == 0 ))
