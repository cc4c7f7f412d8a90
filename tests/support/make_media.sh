#!/usr/bin/env bash
# Make a folder of small videos on which exact frame access is hard, and what a linear decode of each gives.
#
# usage: make_media.sh OUTDIR
#
#   OUTDIR/NAME                  the videos
#   OUTDIR/bad/*                 things that are not videos, or hold no frame: opening them must fail, and say why
#   OUTDIR/manifest.tsv          NAME, number of frames, what is hard about it (tab-separated)
#   OUTDIR/framemd5/NAME.md5     MD5 of each frame in output order, a line each: the raw planes in the decoder's own pixel format
#   OUTDIR/codes/NAME.txt        the frame numbers read from the bar codes in the picture (see draw_frames.py), a line each
#   OUTDIR/framemd5-all/NAME.md5 only where size or pixel format changes midway: all frames. framemd5/ has those before the change.
#
# The MD5s are those of `ffmpeg -noautorotate -i NAME -map 0:v:0 -fps_mode passthrough -f framemd5 -`: neither dropped nor doubled
# frames, no conversion. Needs ffmpeg 5.1 with libx264, libx265, libvpx, libaom, libsvtav1, libxvid, libtheora; ffprobe; python3.
#
# Nothing is done when OUTDIR was made by these very scripts and this ffmpeg.
#
# shellcheck disable=SC2046,SC2086 # options of ffmpeg are kept and printed as lists of words, to be split
set -euo pipefail
shopt -s inherit_errexit
PATH=/usr/bin:$PATH # Debian's python3, whatever else comes first

[[ $# == 1 ]] || { sed -n '4p' "$0" | cut -c3- >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
if [[ ! -e $1/.lock && -n $(ls -A "$1") ]]; then
    echo "make_media.sh: $1 is not empty and was not made by this script; name another directory" >&2  # its contents would be deleted
    exit 1
fi
out=$(cd "$1" && pwd)

# Tests that run at the same time may all ask for the files: one makes them, the others wait.
exec 9>"$out/.lock"
flock 9
stamp=$({ cat "$here"/{make_media.sh,draw_frames.py,read_codes.py,patch_media.py,write_paff.py}; ffmpeg -version; } | sha256sum)
if [[ -f $out/.stamp && $(<"$out/.stamp") == "$stamp" ]]; then exit 0; fi
find "$out" -mindepth 1 -not -name .lock -delete
work=$out/.work
mkdir -p "$work" "$out"/{bad,framemd5,framemd5-all,codes}
cd "$work"

# ---------------------------------------------------------------------------------------------------------------- how it works

ff() { ffmpeg -nostdin -hide_banner -loglevel error -y "$@"; }
patch() { python3 "$here/patch_media.py" "$@"; }

jobs_at_once=$(nproc)

# job NAME COMMAND...: run in the background; what it prints is shown only if it fails.
job() {
    local name=$1; shift
    while (( $(jobs -rp | wc -l) >= jobs_at_once )); do wait -n || true; done
    # not `|| touch`: a command before || runs as if without -e
    { set +e; (set -e; "$@") > "$work/$name.log" 2>&1 9>&-; status=$?; ((status == 0)) || touch "$work/$name.failed"; } &
}

# All jobs are done after this, and done well.
finish() {
    wait
    local mark failed=0
    for mark in "$work"/*.failed; do
        [[ -e $mark ]] || continue
        failed=1
        echo "make_media.sh: $(basename "$mark" .failed) did not come out:" >&2
        sed 's/^/    /' "${mark%.failed}.log" >&2
    done
    (( failed == 0 )) || exit 1
}

declare -A remarks pictures
names=()
target=

# made NAME REMARK COMMAND...: a file of the manifest, written by COMMAND, which finds its path in $target.
made() {
    local name=$1; shift
    names+=("$name")
    remarks[$name]=$1; shift
    target=$out/$name job "$name" "$@"
}

# film SOURCE FRAMES NAME REMARK OPTIONS...: the commonest case, encode some frames of a source.
film() {
    local source=$1 frames=$2 name=$3 remark=$4; shift 4
    made "$name" "$remark" encode "$source" "$frames" "$@"
}

# bitexact keeps random identifiers and versions out, so that the files are the same each time.
encode() {
    local source=$1 frames=$2; shift 2
    ff ${pictures[$source]} -frames:v "$frames" -pix_fmt yuv420p -threads 1 -fflags +bitexact -flags:v +bitexact "$@" "$target"
}

remux() {  # remux INPUT OPTIONS...
    local input=$1; shift
    ff -i "$out/$input" -c copy -fflags +bitexact "$@" "$target"
}

draw() {  # draw SOURCE SIZE COUNT FORMAT [OPTION]
    python3 "$here/draw_frames.py" "$2" "$3" --format "$4" "${@:5}" > "$work/$1.raw"
}

source_of() {
    pictures[$1]="-f rawvideo -pixel_format $4 -video_size $2 -framerate 25 -i $1.raw"
    job "draw-$1" draw "$@"
}

x264() { echo "-c:v libx264 -preset veryfast -x264-params threads=1:scenecut=0:$1"; }
x265() { echo "-c:v libx265 -preset veryfast -x265-params log-level=error:pools=none:frame-threads=1:scenecut=0:$1"; }

# -------------------------------------------------------------------------------------------------------------------- the files

source_of main  128x96 300 rgb24
source_of small  96x64 100 rgb24
source_of big   192x128 90 rgb24
source_of odd    97x65  60 rgb24
source_of alpha 128x96  60 rgba
source_of gray16 128x96 60 gray16le
source_of fields 128x96 100 rgb24 --interlaced
source_of fields-small 96x64 60 rgb24 --interlaced
finish

coded_h264_and_hevc() {
    film main 120 h264-bpyramid-gop12.mp4 "B-pyramid: presentation order far from decoding order" \
        $(x264 keyint=12:bframes=3:b-pyramid=normal:b-adapt=0:ref=4)
    film main 300 h264-bframes-gop250.mp4 "long keyframe interval with B-frames: a seek decodes up to 250 frames" \
        $(x264 keyint=250:bframes=2:b-pyramid=none:b-adapt=0)
    film main 60 h264-intra-only.mp4 "every frame is a keyframe" $(x264 keyint=1)
    film main 300 h264-gop-infinite.mp4 "one keyframe only, B-pyramid" $(x264 keyint=infinite:bframes=3:b-adapt=0)
    film main 120 h264-no-bframes.mp4 "the easy case: closed groups, no reordering" $(x264 keyint=25:bframes=0)
    film main 120 h264-opengop.mp4 "open GOP: B-frames shown before a keyframe refer to frames before it" \
        $(x264 open-gop=1:keyint=12:bframes=3:b-adapt=0:b-pyramid=normal)
    film main 120 h264-refs8.mp4 "eight reference frames, weighted prediction" \
        $(x264 keyint=60:ref=8:bframes=3:b-adapt=0:b-pyramid=strict:weightp=2)
    film main 120 h264-bframes16.mkv "16 B-frames in a row: the decoder's delay is long" $(x264 keyint=100:bframes=16:b-adapt=0)
    film main 120 h264-intra-refresh.mp4 "one IDR, then recovery points: after a seek to one the first frames are not exact" \
        $(x264 intra-refresh=1:keyint=20:bframes=0)
    film main 120 h264-intra-refresh.ts "one IDR, then recovery points, in a transport stream without an index" \
        $(x264 intra-refresh=1:keyint=20:bframes=0)
    film fields 100 h264-interlaced-mbaff.mp4 "interlaced, MBAFF: both fields in one coded frame" \
        $(x264 tff=1:keyint=24:bframes=2:b-adapt=0) -vf scale=interl=1
    film main 120 h264.ts "transport stream: no index, no frame count, first PTS is not 0" $(x264 keyint=24:bframes=2:b-adapt=0)
    film main 120 h264-raw.h264 "elementary stream with B-frames: packets have no times at all" \
        $(x264 keyint=24:bframes=3:b-adapt=0)
    film main 120 h264-bframes.avi "B-frames in a container that has only decoding order, no PTS" \
        $(x264 keyint=24:bframes=2:b-adapt=0)
    film main 120 h264.flv "FLV: times in whole milliseconds, no index" $(x264 keyint=24:bframes=2:b-adapt=0)
    film main 60 h264-high10.mp4 "10 bits a sample" $(x264 keyint=24:bframes=2:b-adapt=0) -pix_fmt yuv420p10le
    film main 60 h264-422.mp4 "4:2:2" $(x264 keyint=24) -pix_fmt yuv422p
    film main 60 h264-444.mp4 "4:4:4" $(x264 keyint=24) -pix_fmt yuv444p
    film main 60 h264-fullrange.mp4 "4:2:0, full range (yuvj420p)" $(x264 keyint=24) -pix_fmt yuvj420p
    film main 60 h264-gray.mp4 "monochrome; FFmpeg decodes to 4:2:0 with neutral chroma (yuvj420p)" $(x264 keyint=24) -pix_fmt gray
    film main 60 h264-rgb.mp4 "RGB in H.264 (gbrp)" -c:v libx264rgb -x264-params threads=1:keyint=24 -pix_fmt rgb24
    film odd 60 h264-odd-97x65.mp4 "odd width and height, 4:4:4" $(x264 keyint=24) -pix_fmt yuv444p

    film main 120 hevc-opengop.mp4 "open GOP: CRA keyframes with RASL pictures, which a decoder drops after a seek to the CRA" \
        $(x265 keyint=24:min-keyint=24:bframes=4:b-adapt=0:open-gop=1) -tag:v hvc1
    film main 120 hevc-opengop.ts "CRA and RASL in a transport stream: no index" \
        $(x265 keyint=24:min-keyint=24:bframes=4:b-adapt=0:open-gop=1)
    film main 120 hevc-closedgop-gop12.mp4 "closed GOP with B-pyramid" \
        $(x265 keyint=12:min-keyint=12:bframes=4:b-adapt=0:open-gop=0:b-pyramid=1)
    film main 120 hevc-radl.mp4 "IDR keyframes with RADL pictures: shown before the keyframe, decodable from it" \
        $(x265 keyint=24:min-keyint=24:bframes=4:b-adapt=0:open-gop=0:radl=2)
    film main 200 hevc-gop-infinite.mkv "one keyframe only, B-pyramid" $(x265 keyint=-1:bframes=4:b-adapt=0)
    film main 60 hevc-intra-only.mp4 "every frame is a keyframe" $(x265 keyint=1)
    film main 300 hevc-bframes-gop250.mp4 "long keyframe interval with B-frames: a seek decodes up to 250 frames" \
        $(x265 keyint=250:min-keyint=250:bframes=4:b-adapt=0)
    film main 120 hevc-refs5.mp4 "five reference frames, weighted prediction of B-frames too" \
        $(x265 keyint=60:ref=5:bframes=3:b-adapt=0:b-pyramid=1:weightp=1:weightb=1)
    film main 120 hevc-intra-refresh.mp4 "one IDR, then intra refresh, which libx265 does not mark: decoding begins at the IDR only" \
        $(x265 keyint=20:intra-refresh=1:bframes=0)
    film main 60 hevc-fields.mkv "interlaced: each field is a picture, and a decoder gives each of them" \
        $(x265 interlace=tff:keyint=24:bframes=2:b-adapt=0)
    film main 60 hevc-main10.mp4 "10 bits a sample" $(x265 keyint=24:bframes=3:b-adapt=0) -pix_fmt yuv420p10le
    film main 60 hevc-444.mkv "4:4:4" $(x265 keyint=24:bframes=3:b-adapt=0) -pix_fmt yuv444p
    film main 60 hevc-raw.hevc "elementary stream with open GOP: packets have no times at all" \
        $(x265 keyint=24:min-keyint=24:bframes=4:b-adapt=0:open-gop=1)
}

other_codecs() {
    # libvpx makes hidden frames only in a second pass
    local vp="-deadline good -cpu-used 5 -lag-in-frames 16 -g 60 -b:v 300k"
    made vp9-altref.webm "hidden alt-ref frames inside superframes" two_passes -c:v libvpx-vp9 $vp -auto-alt-ref 1
    made vp8-altref.webm "alt-ref frames are packets of their own that show nothing: more packets than frames" \
        two_passes -c:v libvpx $vp -auto-alt-ref 1 -arnr-maxframes 5 -arnr-strength 3
    film alpha 60 vp9-alpha.webm "alpha in side data of each block; FFmpeg's own decoder gives the colours only" \
        -c:v libvpx-vp9 $vp -auto-alt-ref 0 -pix_fmt yuva420p
    film main 60 av1-aom.mp4 "hidden frames and show-existing-frame" \
        -c:v libaom-av1 -cpu-used 8 -crf 40 -b:v 0 -g 30 -lag-in-frames 19 -row-mt 0
    film main 100 av1-svt.mkv "hidden frames, deep pyramid" -c:v libsvtav1 -preset 10 -crf 40 -g 32 -svtav1-params lp=1
    film main 100 av1-svt.mp4 "hidden frames, deep pyramid" -c:v libsvtav1 -preset 10 -crf 40 -g 32 -svtav1-params lp=1

    # libxvid packs too, but with times that begin late, and it loses frames at the end (117 and 119 of these)
    film main 120 mpeg4-asp-packed-xvid.avi "packed B-frames as Xvid does, after two empty chunks" -c:v libxvid -q:v 4 -bf 2 -g 25
    film main 121 mpeg4-asp-bf1.avi "single B-frames in a container that has only decoding order, no PTS" \
        -c:v mpeg4 -q:v 4 -bf 1 -g 24
    film main 120 mpeg4-asp-unpacked.avi "B-frames in a container that has only decoding order, no PTS" \
        -c:v mpeg4 -q:v 4 -bf 2 -g 25
    film main 120 mpeg4-asp.mp4 "MPEG-4 ASP with B-frames" -c:v mpeg4 -q:v 4 -bf 2 -g 25
    film main 60 mjpeg-420-fullrange.avi "full range 4:2:0 (yuvj420p)" -c:v mjpeg -q:v 3 -pix_fmt yuvj420p
    film main 60 mjpeg-422-fullrange.avi "full range 4:2:2 (yuvj422p)" -c:v mjpeg -q:v 3 -pix_fmt yuvj422p
    film main 60 mjpeg.mkv "intra only in Matroska" -c:v mjpeg -q:v 3 -pix_fmt yuvj420p
    film odd 60 mjpeg-odd-97x65.avi "odd width and height, 4:2:0: chroma is rounded up" -c:v mjpeg -q:v 3 -pix_fmt yuvj420p
    film main 60 mjpeg-raw.mjpeg "JPEG after JPEG, no container" -c:v mjpeg -q:v 3 -pix_fmt yuvj420p
    film main 60 ffv1.avi "intra only, version 1" -c:v ffv1 -level 1 -g 1
    film main 60 ffv1-gop12.mkv "FFV1 with groups: decoder state runs on from the keyframe" -c:v ffv1 -level 3 -g 12 -slices 4
    film main 60 ffv1-gray.mkv "gray" -c:v ffv1 -level 3 -g 1 -pix_fmt gray
    film gray16 60 ffv1-gray16.mkv "16-bit gray" -c:v ffv1 -level 3 -g 1 -pix_fmt gray16le
    film alpha 60 ffv1-bgra.mkv "RGB with alpha" -c:v ffv1 -level 3 -g 1 -pix_fmt bgra
    film odd 60 ffv1-odd-97x65.mkv "odd width and height, 4:2:0" -c:v ffv1 -level 3 -g 1
    film main 60 png.mkv "PNG as video codec, RGB" -c:v png -pix_fmt rgb24
    film main 60 png.mov "PNG as video codec, RGB" -c:v png -pix_fmt rgb24
    film alpha 60 png-rgba.mov "PNG with alpha" -c:v png -pix_fmt rgba
    film gray16 60 png-gray16.mkv "16-bit gray, big-endian samples" -c:v png -pix_fmt gray16be
    film main 60 huffyuv.avi "4:2:2 lossless" -c:v huffyuv -pix_fmt yuv422p
    film fields 60 prores.mov "interlaced ProRes, 10-bit 4:2:2" \
        -c:v prores_ks -flags:v +ildct -pix_fmt yuv422p10le -vf scale=interl=1
    film small 60 rawvideo.mov "raw 4:2:2 (uyvy422): no decoder state at all" -c:v rawvideo -pix_fmt uyvy422
    film small 60 rawvideo-bottom-up.avi "raw BGR, rows stored bottom first" -c:v rawvideo -pix_fmt bgr24
    film small 60 rawvideo.y4m "raw, no index, frame headers" -f yuv4mpegpipe
    film small 60 animation.gif "GIF: frames are patches on the one before, times in 1/100 s" -pix_fmt rgb8
    film small 60 animation.apng "APNG: frames are patches on the one before" -f apng -pix_fmt rgb24
    film fields 100 mpeg2-interlaced.ts "interlaced MPEG-2 with B-frames, open GOP" \
        -c:v mpeg2video -q:v 4 -bf 2 -g 15 -flags:v +ildct+ilme -top 1 -vf scale=interl=1
    film main 120 mpeg2.mpg "program stream: a PTS only now and then" -c:v mpeg2video -q:v 4 -bf 2 -g 15
    film main 100 mpeg1.mpg "MPEG-1 system stream" -c:v mpeg1video -q:v 4 -bf 2 -g 15
    film main 100 theora.ogv "Ogg: granule positions, no index" -c:v libtheora -q:v 6 -g 25
    film main 100 wmv2.asf "ASF: no frame rate, preroll" -c:v wmv2 -q:v 4 -g 25
    film main 100 h261.mkv "H.261: Matroska takes each packet for a keyframe" -c:v h261 -s 176x144 -q:v 4 -g 25
    film main 100 qtrle.mov "QuickTime animation, which needs what only MOV says" -c:v qtrle -pix_fmt rgb24
    film main 100 flv1.flv "Sorenson H.263 in FLV" -c:v flv -q:v 4 -g 25
    film main 100 h263.mov "H.263: libavformat takes each packet for a keyframe" -c:v h263 -q:v 4 -g 25
    film main 100 h263p.avi "H.263+" -c:v h263p -q:v 4 -g 25
}

two_passes() {
    local log
    log=$work/$(basename "$target").pass
    target=/dev/null encode main 120 "$@" -pass 1 -passlogfile "$log" -f null
    encode main 120 "$@" -pass 2 -passlogfile "$log"
}

containers_and_times() {
    local bframes; bframes=$(x264 keyint=25:bframes=3:b-adapt=0:b-pyramid=normal)
    film main 120 mkv-start-3600s.mkv "the first PTS is one hour" $bframes -output_ts_offset 3600
    film main 120 ts-start-100s.ts "the first PTS is 100 s" $bframes -output_ts_offset 100 -muxdelay 0 -muxpreload 0
    film main 120 ts-wraparound.ts "the 33-bit clock wraps to 0 after 2 s" \
        $bframes -output_ts_offset 95441.7 -muxdelay 0 -muxpreload 0
    film main 120 nut.nut "NUT: fine time base, index at the end" $bframes
    film main 120 mp4-negative-cts.mp4 "signed composition offsets, no edit list" \
        $bframes -movflags negative_cts_offsets -use_editlist 0
    film main 120 mp4-no-editlist.mp4 "B-frames without an edit list: the first PTS is not 0" $bframes -use_editlist 0
    film main 120 mp4-faststart.mp4 "moov before mdat" $bframes -movflags +faststart

    # 40 ms apart, each 7th a little late, and 5 s of nothing after each 25 frames
    local gaps="settb=1/1000,setpts='N*40+5000*floor(N/25)+13*not(mod(N,7))'"
    film main 120 vfr-long-gaps.mp4 "variable frame rate, gaps of 5 s" \
        $bframes -vf "$gaps" -fps_mode passthrough -enc_time_base 1/1000
    film main 120 vfr-long-gaps.mkv "variable frame rate, gaps of 5 s" \
        $bframes -vf "$gaps" -fps_mode passthrough -enc_time_base 1/1000
    film main 120 mkv-2000fps-equal-pts.mkv "2000 frames a second in whole milliseconds: neighbours have the same PTS" \
        $(x264 keyint=25:bframes=0) -vf setpts=N/2000/TB,settb=1/2000,setpts=N -r 2000 -fps_mode cfr
    film main 120 mp4-1001-rate.mp4 "30000/1001 frames a second" \
        $bframes -vf "settb=1001/30000,setpts=N" -r 30000/1001 -fps_mode cfr

    made mkv-no-cues.mkv "written to a pipe: no cues, no duration, unknown sizes" no_seeking matroska $bframes
    made webm-live.webm "live WebM: clusters of unknown size, no cues" \
        encode main 120 -c:v libvpx -deadline realtime -cpu-used 8 -g 25 -b:v 400k -live 1 -f webm
    film main 120 fragmented.mp4 "a fragment for each keyframe" $(x264 keyint=25:bframes=0) \
        -movflags frag_keyframe+empty_moov+default_base_moof
    film main 120 fragmented-bframes.mp4 "fragments, with B-frames" $bframes -movflags frag_keyframe+empty_moov+default_base_moof
    film main 120 fragmented-each-frame.mp4 "a fragment for each frame: most begin with no keyframe" $bframes \
        -movflags frag_every_frame+empty_moov+default_base_moof

    made two-videos.mkv "two video streams of other size and length; the second is the default one" two_videos \
        -disposition:v:0 0 -disposition:v:1 default
    made two-videos.mp4 "two video streams of other size and length" two_videos
    made audio-video.mp4 "sound first, then video with B-frames" with_sound -map 1:a -map 0:v
    made audio-video.mkv "video and sound" with_sound -map 0:v -map 1:a -c:a libopus

    ff ${pictures[big]} -frames:v 1 "$work/cover.png"
    ff ${pictures[big]} -frames:v 1 -q:v 3 "$work/cover.jpg"
    made cover-picture.mp4 "a cover picture as second video stream" cover_mp4
    made cover-picture.mkv "a cover picture attached, which FFmpeg shows as second video stream" encode main 60 $bframes \
        -attach "$work/cover.jpg" -metadata:s:t mimetype=image/jpeg -metadata:s:t filename=cover.jpg

    made paff.h264 "PAFF, elementary stream: most frames are two field packets; reordered" paff h264
    made paff.ts "PAFF in a transport stream: more packets than frames, each field has a PTS" paff ts

    job part-a encode_part part-a small 60 -pix_fmt yuv420p
    job part-b encode_part part-b main 60 -pix_fmt yuv420p
    job part-c encode_part part-c small 60 -pix_fmt yuv444p
}

# Two recordings of other headers, each of which states its own only once.
headers_once() {
    made headers-once.h264 "parameter sets change midway, and are not repeated at keyframes" joined_once "67 68" h264 \
        "$(x264 keyint=12:bframes=2:b-adapt=0)" "$(x264 keyint=12:bframes=0:cabac=0:ref=1:8x8dct=0:weightp=0)"
    made headers-once.hevc "parameter sets change midway, and are not repeated at keyframes" joined_once "40 42 44" hevc \
        "$(x265 keyint=12:min-keyint=12:bframes=2:b-adapt=0)" "$(x265 keyint=12:min-keyint=12:bframes=0:no-sao=1:ctu=16:no-signhide=1)"
    made headers-once.m4v "the video object layer changes midway, and is not repeated at keyframes" joined_once "b0 b5 00 2 b2" m4v \
        "-c:v mpeg4 -q:v 4 -g 12" "-c:v mpeg4 -q:v 4 -g 12 -flags:v +bitexact+qpel"
    made headers-once.m2v "the sequence header changes midway, and is not repeated at keyframes" joined_once "b3 b51" mpeg2video \
        "-c:v mpeg2video -q:v 4 -g 12" "-c:v mpeg2video -q:v 4 -g 12 -intra_matrix $(yes 40 | head -63 | sed '1i 8' | paste -sd,)"
}
joined_once() {  # joined_once KINDS FORMAT OPTIONS-OF-FIRST OPTIONS-OF-SECOND
    local kinds=$1 format=$2 name part=0 options; shift 2
    name=$work/$(basename "$target")
    for options; do
        part=$((part + 1))
        target=$name.$part encode main 60 $options -f "$format"
        patch once "$name.$part" "$name.once.$part" $kinds
    done
    cat "$name.once".[12] > "${name/#"$work"/"$out"}"
}

no_seeking() {
    local format=$1; shift
    ff ${pictures[main]} -frames:v 120 -pix_fmt yuv420p -threads 1 -fflags +bitexact -flags:v +bitexact "$@" -f "$format" - \
        | cat > "$target"
}
two_videos() {
    ff -t 2.4 ${pictures[small]} ${pictures[big]} -map 0:v -map 1:v -pix_fmt yuv420p $(x264 keyint=20:bframes=2:b-adapt=0) \
        -fflags +bitexact -flags:v +bitexact "$@" "$target"
}
with_sound() {
    ff ${pictures[main]} -f lavfi -i sine=frequency=440:sample_rate=48000:duration=4.8 -frames:v 120 -pix_fmt yuv420p \
        $(x264 keyint=25:bframes=2:b-adapt=0) -fflags +bitexact -flags +bitexact "$@" "$target"
}
cover_mp4() {
    ff ${pictures[main]} -i "$work/cover.png" -map 0:v -map 1:v -frames:v:0 60 -pix_fmt:v:0 yuv420p \
        $(x264 keyint=25:bframes=2:b-adapt=0 | sed 's/-c:v/-c:v:0/') -c:v:1 copy -disposition:v:1 attached_pic \
        -fflags +bitexact "$target"
}
paff() {
    ff ${pictures[fields-small]} -vf scale=interl=1 -pix_fmt yuv420p -f rawvideo - \
        | python3 "$here/write_paff.py" 96x64 "$1" > "$target"
}
encode_part() {
    local part=$1 source=$2 frames=$3; shift 3
        target=$work/$part.ts encode "$source" "$frames" $(x264 keyint=20:bframes=2:b-adapt=0) "$@"
    ff -i "$work/$part.ts" -c copy "$work/$part.h264"
}

# These begin from files made above.
derived() {
    made vp9-altref.mp4 "hidden alt-ref frames inside superframes, in MP4" remux vp9-altref.webm
    made h264-opengop.mkv "open GOP in Matroska" remux h264-opengop.mp4
    made h264-opengop.ts "open GOP in a transport stream: no index, parameter sets only at the very start" remux h264-opengop.mp4
    made hevc-opengop.mkv "CRA and RASL in Matroska" remux hevc-opengop.mp4
    made h264-interlaced-mbaff.ts "MBAFF in a transport stream" remux h264-interlaced-mbaff.mp4
    made av1.ivf "hidden frames, IVF" remux av1-svt.mp4
    made av1.obu "hidden frames, elementary stream: no times" remux av1-svt.mp4
    made paff.mp4 "PAFF in MP4: each field is a sample" remux paff.ts
    made paff.mkv "PAFF in Matroska: each field is a block" remux paff.ts

    made mp4-cut-mid-gop.mp4 "cut inside a group with -c copy: the edit list hides frames that must be decoded" \
        ff -ss 1.3 -i "$out/h264-bpyramid-gop12.mp4" -c copy -fflags +bitexact "$out/mp4-cut-mid-gop.mp4"
    made mp4-cut-opengop.mp4 "cut with -c copy behind an open GOP: the edit list hides its leading pictures" \
        ff -ss 1.3 -i "$out/h264-opengop.mp4" -c copy -fflags +bitexact "$out/mp4-cut-opengop.mp4"
    made mp4-cut-opengop-hevc.mp4 "cut with -c copy behind a CRA: the edit list hides its RASL pictures, which cannot be decoded" \
        ff -ss 1.3 -i "$out/hevc-opengop.mp4" -c copy -fflags +bitexact "$out/mp4-cut-opengop-hevc.mp4"
    made mp4-empty-edit.mp4 "starts with an empty edit of 2 s" \
        ff -itsoffset 2 -i "$out/h264-bpyramid-gop12.mp4" -c copy -fflags +bitexact "$out/mp4-empty-edit.mp4"
    made mp4-empty-and-preroll-edit.mp4 "an empty edit of 2 s, then media from the middle of a group on" \
        patch edits "$out/h264-bpyramid-gop12.mp4" "$out/mp4-empty-and-preroll-edit.mp4" gap:2 1.32:3
    made mp4-three-edits.mp4 "three pieces of the media, each from the middle of a group, with gaps in the media between" \
        patch edits "$out/h264-bpyramid-gop12.mp4" "$out/mp4-three-edits.mp4" 0.48:0.8 2.0:0.6 3.32:1.0
    made mp4-edits-out-of-order.mp4 "later media is shown first, and some of it twice" \
        patch edits "$out/h264-bpyramid-gop12.mp4" "$out/mp4-edits-out-of-order.mp4" 3.0:1.0 0.52:1.0 3.2:0.6
    made mp4-edits-with-gap.mp4 "two pieces of the media, 1 s of nothing between; FFmpeg 5.1 shows the media's start then" \
        patch edits "$out/h264-bpyramid-gop12.mp4" "$out/mp4-edits-with-gap.mp4" 0.48:0.8 gap:1 2.0:0.8
    made fragmented-negative-pts.mp4 "a cut inside a group, fragmented: the first PTS is negative, and nothing is hidden" \
        ff -ss 1.3 -i "$out/h264-bpyramid-gop12.mp4" -c copy -movflags frag_keyframe+delay_moov+default_base_moof \
        -fflags +bitexact "$out/fragmented-negative-pts.mp4"
    made mp4-rotated-90.mp4 "display matrix says turn by 90 degrees; the frames stay as coded" \
        patch turn "$out/h264-no-bframes.mp4" "$out/mp4-rotated-90.mp4" 90

    made mpeg4-asp-packed.avi "packed B-frames as DivX does: two frames in a chunk, a not-coded one in the next" \
        patch pack "$out/mpeg4-asp-bf1.avi" "$out/mpeg4-asp-packed.avi"
    made avi-no-index.avi "AVI whose index is cut off" patch no-idx1 "$out/mpeg4-asp-unpacked.avi" "$out/avi-no-index.avi"
    made avi-truncated.avi "AVI cut off inside a frame" patch cut "$out/mpeg4-asp-unpacked.avi" "$out/avi-truncated.avi" 0 0.6
    made mkv-truncated.mkv "Matroska cut off inside a block" patch cut "$out/vfr-long-gaps.mkv" "$out/mkv-truncated.mkv" 0 0.6
    made fragmented-truncated.mp4 "cut off inside a fragment: no mfra" \
        patch cut "$out/fragmented-bframes.mp4" "$out/fragmented-truncated.mp4" 0 0.7
    made ts-cut-in-middle.ts "begins in the middle of a group" \
        patch cut "$out/h264.ts" "$out/ts-cut-in-middle.ts" $((188 * 200)) 1.0
    made ts-cut-intra-refresh.ts "begins between recovery points, and holds no IDR at all" \
        patch cut "$out/h264-intra-refresh.ts" "$out/ts-cut-intra-refresh.ts" $((188 * 240)) 1.0
    made ts-cut-opengop.ts "begins with an open GOP: its leading pictures lack references" \
        ff -ss 1.3 -i "$out/h264-opengop.mp4" -c copy -bsf:v h264_mp4toannexb,dump_extra=freq=keyframe "$out/ts-cut-opengop.ts"
    made ts-cut-opengop-hevc.ts "begins with a CRA: its RASL pictures cannot be decoded" \
        ff -ss 1.3 -i "$out/hevc-opengop.mp4" -c copy "$out/ts-cut-opengop-hevc.ts"
    made ts-concatenated.ts "three recordings in one file: times jump on, and back to the start" \
        join "$out"/{h264,ts-start-100s,h264}.ts

    # Where a decoder notices damage, what it shows depends on its threads and on what its buffers held before. It does not notice
    # these, or gives no frame, so that there is one right answer.
    made corrupt-packet.mp4 "a packet in the middle is damaged, and so the frames up to the next keyframe" \
        corrupt h264-no-bframes.mp4 67 size/2 60
    made corrupt-packet-bframes.mp4 "a packet in the middle is damaged, and so the frames up to the next keyframe; B-frames" \
        corrupt h264-bframes-gop250.mp4 101 size/2 1
    made corrupt-packet.avi "the quantizers of a JPEG in the middle are damaged: it looks wrong" \
        corrupt mjpeg-420-fullrange.avi 30 10 5
    made corrupt-packet-lost.avi "a JPEG in the middle is damaged so badly that it gives no frame" \
        corrupt mjpeg-420-fullrange.avi 30 0 620

    made size-change.h264 "96x64 becomes 128x96 after 60 frames" join "$work"/part-{a,b}.h264
    made size-change.ts "96x64 becomes 128x96 after 60 frames" size_change_ts
    made format-change.h264 "4:2:0 becomes 4:4:4 after 60 frames" join "$work"/part-{a,c}.h264
}

corrupt() {  # corrupt INPUT PACKET OFFSET COUNT: damage COUNT bytes of the packet, whose size OFFSET may name, from OFFSET on
    local position size
    IFS=, read -r size position < <(
        ffprobe -v error -select_streams v -show_entries packet=pos,size -of csv=p=0 "$out/$1" | sed -n "$2p")
    patch flip "$out/$1" "$target" $((position + $3)) "$4"
}
join() { cat "$@" > "$target"; }
size_change_ts() {  # the second part goes on in time where the first ends, as when a camera's settings are changed
    ff -itsoffset 2.4 -i "$work/part-b.ts" -c copy -mpegts_flags initial_discontinuity "$work/part-b-later.ts"
    join "$work/part-a.ts" "$work/part-b-later.ts"
}

bad_files() (
    cd "$out/bad"
    : > empty.mp4
    echo "This is no video." > text.mp4
    python3 -c "import random, sys; sys.stdout.buffer.write(random.Random(1).randbytes(20000))" > random.mp4
    python3 -c "import random, sys; sys.stdout.buffer.write(random.Random(2).randbytes(20000))" > random.bin
    mkdir directory.mp4
    ff -f lavfi -i sine=duration=1 -c:a aac -fflags +bitexact audio-only.mp4
    ff -f lavfi -i sine=duration=1 -fflags +bitexact audio-only.wav
    patch cut "$out/h264-bframes-gop250.mp4" truncated-no-moov.mp4 0 0.5
    patch cut "$out/mp4-faststart.mp4" moov-cut-off.mp4 0 600
    patch cut "$out/mkv-no-cues.mkv" header-only.mkv 0 100
    local nothing="-f lavfi -i color=size=96x64:duration=1 -frames:v 0 -fflags +bitexact"
    ff $nothing -c:v libx264 -movflags frag_keyframe+empty_moov zero-frames.mp4
    ff $nothing -c:v ffv1 zero-frames.mkv
    ff $nothing -c:v mjpeg zero-frames.avi
)

# ------------------------------------------------------------------------------------------------------------- the linear decode

# The frame number that the picture shows is known beforehand for nearly all files: 0, 1, 2 ... without a gap.
unordered=(
    mp4-three-edits.mp4 mp4-edits-out-of-order.mp4 mp4-edits-with-gap.mp4 ts-concatenated.ts size-change.h264 size-change.ts
    format-change.h264 corrupt-packet{,-bframes}.mp4 corrupt-packet{,-lost}.avi mpeg4-asp-packed-xvid.avi
    headers-once.{h264,hevc,m4v,m2v}
    avi-truncated.avi mkv-truncated.mkv  # their last frames depend on frames that are cut off
)

frame_hashes() {  # frame_hashes INPUT OPTIONS...: MD5s, a line each
    local input=$1; shift
    ffmpeg -nostdin -hide_banner -loglevel fatal -noautorotate ${threads:+-threads "$threads"} -i "$input" \
        -map 0:v:0 -fps_mode passthrough "$@" -f framemd5 -
}
md5_column() { grep -v '^#' | sed 's/.*, *//'; }

oracle() {
    local name=$1 input=$out/$1 list=$out/framemd5/$1.md5
    frame_hashes "$input" > "$work/$name.framemd5"
    md5_column < "$work/$name.framemd5" > "$list"
    local size; size=$(sed -n 's/^#dimensions 0: //p' "$work/$name.framemd5")
    ffmpeg -nostdin -loglevel fatal -noautorotate -i "$input" -map 0:v:0 -fps_mode passthrough -pix_fmt gray -f rawvideo - \
        | python3 "$here/read_codes.py" "$size" > "$out/codes/$name.txt"

    case $name in
    size-change.*)
        # Without -noautoscale, ffmpeg scales all frames to the first one's size.
        frame_hashes "$input" -noautoscale | md5_column > "$out/framemd5-all/$name.md5"
        only_first 60 ;;
    format-change.*)
        # ffmpeg converts to the first one's format, so each part is decoded alone.
        for part in a c; do frame_hashes "$work/part-$part.h264" | md5_column; done > "$out/framemd5-all/$name.md5"
        only_first 60 ;;
    esac

    case $name in *corrupt*|*cut*|*truncated*)  # else no other decoder could be compared with this one
        for count in 1 4; do threads=$count frame_hashes "$input" | md5_column | cmp - "$list"; done ;;
    esac

    [[ -s $list ]] || { echo "not one frame decoded"; return 1; }
    [[ " ${unordered[*]} " != *" $name "* ]] || return 0
    awk 'NR > 1 && $1 != last + 1 { print "frame " $1 " follows on " last; exit 1 } { last = $1 }' "$out/codes/$name.txt"
}
only_first() {
    sed -i "$(($1 + 1)),\$d" "$list" "$out/codes/$name.txt"
    head -n "$1" "$out/framemd5-all/$name.md5" | cmp - "$list"
}

# What the files are there for is really in them: encoders change their defaults.
check_contents() {
    local name
    for name in hevc-opengop.mp4 hevc-opengop.ts hevc-raw.hevc; do
        has "$name" 'nal_unit_type .* = 21$' "CRA picture" hevc_mp4toannexb
        has "$name" 'nal_unit_type .* = [89]$' "RASL picture" hevc_mp4toannexb
    done
    has hevc-radl.mp4 'nal_unit_type .* = [67]$' "RADL picture" hevc_mp4toannexb
    has hevc-fields.mkv 'field_seq_flag .* = 1$' "field sequence"
    has h264-intra-refresh.mp4 'recovery_frame_cnt .* = [1-9]' "recovery point"
    has h264-interlaced-mbaff.mp4 'mb_adaptive_frame_field_flag .* = 1$' "MBAFF"
    has h264-gray.mp4 'chroma_format_idc .* = 0$' "monochrome"
    for name in av1-aom.mp4 av1-svt.mp4 av1-svt.mkv; do has "$name" ' show_frame .* = 0$' "hidden frame"; done

    # A picture that is no IDR but a keyframe, and pictures shown before it though coded after it.
    has h264-opengop.mp4 'recovery_frame_cnt .* = 0$' "open GOP"

    (( $(packets vp9-altref.webm vp9_superframe_split) > 120 )) || lacks vp9-altref.webm "hidden frame"
    (( $(packets vp8-altref.webm null) > 120 )) || lacks vp8-altref.webm "hidden frame"
    (( $(packets paff.ts null) > 60 )) || lacks paff.ts "field packet"
    for name in mpeg4-asp-packed.avi mpeg4-asp-packed-xvid.avi; do
        ffmpeg -nostdin -v info -threads 1 -i "$out/$name" -f null - 2>&1 | grep "packed B-frames" || lacks "$name" "packed B-frame"
    done
    ffprobe -v error -show_entries stream_side_data=rotation -of csv=p=0 "$out/mp4-rotated-90.mp4" | grep -- -90 \
        || lacks mp4-rotated-90.mp4 "turned picture"
    ffprobe -v error -show_entries packet=pts -of csv=p=0 "$out/ts-wraparound.ts" | grep '^-[1-9]' \
        || lacks ts-wraparound.ts "negative PTS"
}
lacks() { echo "$1: there is no $2 in it"; exit 1; }
has() {  # has NAME PATTERN WHAT [FILTER]: the headers of the coded stream contain it
    ffmpeg -nostdin -loglevel info -i "$out/$1" -map 0:v:0 -c copy -bsf:v "${4:+$4,}trace_headers" -f null - \
        > "$work/$1.headers" 2>&1
    grep -q -- "$2" "$work/$1.headers" || lacks "$1" "$3"
}
packets() {  # packets NAME FILTER: number of packets behind a bitstream filter
    ffmpeg -nostdin -loglevel error -i "$out/$1" -map 0:v:0 -c copy -bsf:v "$2" -f framecrc - | grep -vc '^#'
}

coded_h264_and_hevc
other_codecs
containers_and_times
headers_once
finish
derived
finish
bad_files
for name in "${names[@]}"; do job "oracle-$name" oracle "$name"; done
job check-contents check_contents
finish

for name in "${names[@]}"; do
    printf '%s\t%d\t%s\n' "$name" "$(wc -l < "$out/framemd5/$name.md5")" "${remarks[$name]}"
done > "$out/manifest.tsv"
cd "$out"
[[ -n ${KEEP_WORK-} ]] || rm -r "$work"  # KEEP_WORK=1 leaves the logs and the raw frames to look at
echo "$stamp" > "$out/.stamp"
