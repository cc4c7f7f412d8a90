#!/usr/bin/env bash
# Run the default tests on another release of Debian: make a root folder of it with debootstrap, put this tree into it, and run
# tests/run.sh there. Nothing is asked.
#
# usage: debian.sh RELEASE
#
# RELEASE is the code name, such as trixie. The root folder build-debian/RELEASE is kept, with what tests/run.sh installs in it; the
# next run begins from it. The mirror and how to reach it are taken from this machine's apt. It takes root, a machine that
# allows mounts, and the network; without these the tests count as skipped.
# The last line printed is `N passed, N failed, N skipped`; the exit status is 1 if anything failed.
set -euo pipefail

if (( $# != 1 )) || [[ ! $1 =~ ^[a-z]+$ ]]; then
    sed -n '5p' "$0" | cut -c3- >&2
    exit 2
fi

release=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
system=$root/build-debian/$release
tree=/srv/avstore
. "$root/apps/packages.sh"

skip() {
    echo "debian.sh: $1"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}

fail() {
    echo "debian.sh: $1" >&2
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}

# The kernel removes mounts and processes of the command when the command ends, and also when this script is killed.
apart() {
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc "$@"
}

# sources: the lines of sources.list, which are those of this machine with its own release replaced.
sources() {
    local here
    here=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
    # shellcheck disable=SC2016 # apt-get's own variables
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
        sed -nE "s/^([^ ]+) $here(-[a-z]+)? main\$/deb \1 $release\2 main/p" | sort -u
}

# How apt reaches the mirror: proxies, certificates, what it does not check.
apt_settings() {
    apt-config dump | grep -E '^Acquire::(http|https|Retries|Check)'
}

make_system() {
    local mirror=$1 proxy
    proxy=$(apt-config shell proxy Acquire::http::Proxy)
    eval "$proxy"
    rm -rf --one-file-system "$system"
    mkdir -p "$system"
    apart env ${proxy:+http_proxy="$proxy" https_proxy="$proxy"} \
        debootstrap --variant=minbase --include=ca-certificates "$release" "$system" "$mirror"
    # a service that a package brings must not start
    printf '#!/bin/sh\nexit 101\n' >"$system/usr/sbin/policy-rc.d"
    chmod +x "$system/usr/sbin/policy-rc.d"
    touch "$system/.made"
}

# What this machine may have changed since the last run.
set_up_apt() {
    sources >"$system/etc/apt/sources.list"
    apt_settings >"$system/etc/apt/apt.conf.d/99this-machine" || true
    cp /etc/resolv.conf /etc/hosts "$system/etc/"
    cp /etc/ssl/certs/ca-certificates.crt "$system/etc/ssl/certs/" 2>/dev/null || true
}

# The files that Git knows or would add.
copy_tree() {
    rm -rf --one-file-system "${system:?}$tree"
    mkdir -p "$system$tree"
    git -c safe.directory="$root" -C "$root" ls-files -z --cached --others --exclude-standard --deduplicate |
        tar -C "$root" --null --no-recursion --ignore-failed-read --warning=no-failed-read -T - -c | tar -C "$system$tree" --no-same-owner -x
}

# In a mount namespace of its own.
# shellcheck disable=SC2016 # for the inner shell
inside='
    system=$1 tree=$2 golden=$3
    mount -t proc proc "$system/proc"
    mount --rbind /dev "$system/dev"
    if [ -n "$golden" ]; then
        mkdir -p "$system/mnt/golden"
        mount --bind -o ro "$golden" "$system/mnt/golden"
    fi
    exec chroot "$system" env -i HOME=/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin ${golden:+AVSTORE_GOLDEN=/mnt/golden} \
        bash "$tree/tests/run.sh"
'

(( EUID == 0 )) || skip "making a root folder of Debian takes root"
[[ -n $(sources) ]] || skip "apt of this machine has no mirror of Debian for the release that it runs"
apart true 2>/dev/null || skip "this machine does not allow mount namespaces"
if [[ ! -e $system/.made ]]; then
    install_missing debootstrap || skip "there is no debootstrap"
    mirror=$(sources | sed -nE "s/^deb ([^ ]+) $release main\$/\1/p" | head -n 1)
    probe=$(mktemp -d)
    trap 'rm -rf "$probe"' EXIT
    /usr/lib/apt/apt-helper download-file "${mirror}dists/$release/InRelease" "$probe/InRelease" >/dev/null 2>&1 ||
        skip "no network: apt cannot fetch $release from its mirror"
    echo "Making a root folder of Debian $release (some minutes)"
    make_system "$mirror" >"$probe/log" 2>&1 || { tail -n 30 "$probe/log" >&2; fail "debootstrap failed, see above"; }
fi
set_up_apt
copy_tree

golden=${AVSTORE_GOLDEN-}
[[ -z $golden ]] || golden=$(realpath "$golden")
log=$system/tests.log
status=0
exec 3> >(tee "$log")
tee=$!
apart sh -e -c "$inside" sh "$system" "$tree" "$golden" >&3 2>&1 3>&- </dev/null || status=$?  # no pipe: it must be a child of this shell
exec 3>&-
wait "$tee"
# run.sh ends with the counts, unless it stopped before
[[ $(tail -n 1 "$log") =~ ^[0-9]+\ passed,\ [0-9]+\ failed,\ [0-9]+\ skipped$ ]] || fail "the tests stopped without counting"
exit "$status"
