# shellcheck shell=bash
#
# The Debian packages that avstore needs, and a function that installs those that are missing. The one list of them:
# sourced by apps/quickstart.sh, tests/run.sh, tests/bench.sh and tests/fuzz.sh.

# shellcheck disable=SC2034 # used by the scripts that source this
build_packages=(
    g++ meson ninja-build pkg-config
    libavcodec-dev libavdevice-dev libavformat-dev libavutil-dev libswscale-dev
    libblosc-dev libcli11-dev libfmt-dev libhdf5-dev libhowardhinnant-date-dev libjpeg62-turbo-dev libsqlite3-dev libyaml-cpp-dev libzip-dev nlohmann-json3-dev
    zlib1g-dev pybind11-dev python3-dev python3-numpy
)
# shellcheck disable=SC2034
test_packages=(catch2 clang-format ffmpeg mypy python3 python3-numpy python3-pil python3-yaml sqlite3 unzip
    python3-dask python3-distributed python3-matplotlib python3-pandas python3-pytest python3-xarray
    shellcheck)
# shellcheck disable=SC2034
lint_packages=(clang-tidy patchelf python3-mesonpy python3-pip python3-venv)
# shellcheck disable=SC2034
bench_packages=(ffmpeg python3 python3-numpy python3-opencv)
# libFuzzer is in libclang-rt-dev.
# shellcheck disable=SC2034
fuzz_packages=(clang libclang-rt-dev python3)

missing_packages() {
    local package
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
    done
}

as_root() {
    if (( EUID == 0 )); then
        "$@"
    else
        sudo "$@"
    fi
}

can_be_root() {
    (( EUID == 0 )) && return
    command -v sudo >/dev/null || return
    # somebody at a terminal can type a password
    [[ -t 0 ]] || sudo -n true 2>/dev/null
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
        -o Dpkg::Use-Pty=0 "$@" </dev/null
}

# install_missing PACKAGE...: nothing is asked of the network if all are there.
install_missing() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        echo "There is no apt-get here. What Debian calls the following has to be installed by other means: $*" >&2
        return
    fi
    local missing
    mapfile -t missing < <(missing_packages "$@")
    (( ${#missing[@]} > 0 )) || return 0
    if ! can_be_root; then
        echo "Packages are missing, and installing them takes root. Run this as root or as a user who may use sudo," >&2
        echo "or have them installed:  apt-get install --no-install-recommends ${missing[*]}" >&2
        return 1
    fi
    echo "Installing: ${missing[*]}"
    apt_get update
    apt_get install --no-install-recommends "${missing[@]}" >/dev/null
}
