#!/bin/sh
# Upgrades Go on this machine to @VERSION@. Written by `gofleet advise --write-script`.
#
#   upgrade-go.sh [--root DIR] [--archive FILE | --url URL] [--sha256 HEX] [--dry-run]
#   upgrade-go.sh --back [--root DIR] [--dry-run]
#
# The new version is unpacked beside the one in use, tried, and switched to by renaming a link over
# a link, so that DIR/go is one version or the other at any moment. (Only where DIR/go is a folder
# to begin with, it is first renamed to go-VERSION.)
#
#   DIR/go           what is in use: let PATH name DIR/go/bin     [DIR: /usr/local]
#   DIR/go-VERSION   the versions themselves; nothing is deleted
#   DIR/go-previous  what was in use before: --back puts it back
#
# Exit codes: 0 done, or nothing to do; 1 something failed and Go is as it was; 2 wrong arguments;
# 3 the archive can't be had; 4 the archive is not what its digest says; 5 the new Go doesn't run;
# 6 there is no way back.
set -eu
umask 022

version='@VERSION@'
root=/usr/local archive='' url='' sha256='' dry_run='' back=''

die() {
    code=$1
    shift
    printf 'upgrade-go: %s\n' "$*" >&2
    exit "$code"
}

say() { printf '%s\n' "$*"; }

platform() {
    case $(uname -s) in
        Linux) os=linux ;;
        Darwin) os=darwin ;;
        *) os=unknown ;;
    esac
    case $(uname -m) in
        x86_64 | amd64) arch=amd64 ;;
        aarch64 | arm64) arch=arm64 ;;
        i?86) arch=386 ;;
        *) arch=$(uname -m) ;;
    esac
    printf '%s-%s' "$os" "$arch"
}

# Where the release for a platform is, and its digest, as far as they are known and not given.
known() {
    case $1 in
@KNOWN@
    esac
}

# The version of the Go in a folder; nothing if there is none that runs.
version_in() {
    [ -x "$1/bin/go" ] || return 0
    said=$(GOTOOLCHAIN=local GOROOT='' "$1/bin/go" version 2>/dev/null) || return 0
    said=${said#go version go}
    printf '%s' "${said%% *}"
}

sha256_of() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum <"$1"
    else
        shasum -a 256 <"$1"
    fi | cut -d ' ' -f 1
}

download() {
    if command -v curl >/dev/null 2>&1; then
        curl -fsSL --retry 3 -o "$2" -- "$1"
    else
        wget -q -O "$2" -- "$1"
    fi
}

# One atomic rename over whatever has the name, also over a link to a folder (GNU, then BSD).
rename() { mv -fT -- "$1" "$2" 2>/dev/null || mv -fh -- "$1" "$2"; }

# A folder of this run's own. It tells two runs apart, and goes with the run.
begin() {
    work=$root/.upgrade-go
    if ! mkdir -- "$work" 2>/dev/null; then
        [ -d "$work" ] || die 1 "$root can't be written"
        owner=$(cat -- "$work/pid" 2>/dev/null) || owner=''
        if [ -n "$owner" ] && kill -0 "$owner" 2>/dev/null; then
            die 1 "another run (process $owner) is under way"
        fi
        # What a killed run left.
        if ! { rm -rf -- "$work" && mkdir -- "$work"; }; then die 1 "$work can't be used"; fi
    fi
    trap 'rm -rf -- "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    echo $$ >"$work/pid"
}

unpack() {
    if [ -z "$archive" ]; then
        [ -n "$url" ] || die 2 "no release of $version for $(platform) is known: give --url and --sha256"
        archive=$work/archive
        download "$url" "$archive" || die 3 "$url can't be downloaded"
    fi
    [ -r "$archive" ] || die 3 "$archive can't be read"
    [ "$(sha256_of "$archive")" = "$sha256" ] || die 4 "$archive does not have the digest $sha256"
    mkdir "$work/tree"
    tar -xzf "$archive" -C "$work/tree" || die 3 "$archive can't be unpacked"
    [ "$(version_in "$work/tree/go")" = "$version" ] || die 5 "the new Go is not $version, or doesn't run"
    mv -- "$work/tree/go" "$root/go-$version"
}

# Makes `go` a link to the folder $1, and `go-previous` one to the folder $2 (if any). What was
# there is known before anything changes.
switch() {
    if [ -n "$2" ]; then
        ln -s -- "$2" "$work/previous"
        rename "$work/previous" "$root/go-previous"
    fi
    ln -s -- "$1" "$work/go"
    moved=''
    if [ -d "$root/go" ] && [ ! -L "$root/go" ]; then
        mv -- "$root/go" "$root/$2"
        moved=1
    fi
    if ! rename "$work/go" "$root/go"; then
        [ -z "$moved" ] || mv -- "$root/$2" "$root/go"
        die 1 "$root/go can't be switched"
    fi
}

upgrade() {
    current=$(version_in "$root/go")
    if [ "$current" = "$version" ]; then
        say "$root/go is $version already"
        return
    fi
    known "$(platform)"
    sha256=$(printf '%s' "$sha256" | tr 'ABCDEF' 'abcdef')
    [ -d "$root/go-$version" ] || [ -n "$sha256" ] ||
        die 2 "the digest of $version for $(platform) is not known: give --sha256"
    previous=''
    if [ -L "$root/go" ]; then
        previous=$(readlink -- "$root/go")
    elif [ -d "$root/go" ]; then
        previous=go-${current:-before-$version}
        [ ! -e "$root/$previous" ] || die 1 "$root/$previous is in the way"
    fi
    if [ -n "$dry_run" ]; then
        [ -d "$root/go-$version" ] || say "would unpack ${archive:-$url} as $root/go-$version"
        say "would switch $root/go from ${current:-nothing} to $version"
        return
    fi
    begin
    [ -d "$root/go-$version" ] || unpack
    [ "$(version_in "$root/go-$version")" = "$version" ] || die 5 "$root/go-$version doesn't run"
    switch "go-$version" "$previous"
    say "$root/go is $version now${current:+, it was $current}"
}

go_back() {
    [ -L "$root/go-previous" ] || die 6 "$root/go-previous doesn't say what was in use before"
    previous=$(readlink -- "$root/go-previous")
    earlier=$(version_in "$root/$previous")
    [ -n "$earlier" ] || die 6 "$root/$previous is no Go that runs"
    if [ -n "$dry_run" ]; then
        say "would switch $root/go back to $earlier"
        return
    fi
    begin
    switch "$previous" ''
    rm -f -- "$root/go-previous"
    say "$root/go is $earlier again"
}

while [ $# -gt 0 ]; do
    case $1 in
        --root | --archive | --url | --sha256)
            [ $# -ge 2 ] || die 2 "$1 needs a value"
            case $1 in
                --root) root=$2 ;;
                --archive) archive=$2 ;;
                --url) url=$2 ;;
                --sha256) sha256=$2 ;;
            esac
            shift
            ;;
        --back) back=1 ;;
        --dry-run) dry_run=1 ;;
        *) die 2 "what is $1? (--root DIR, --archive FILE, --url URL, --sha256 HEX, --dry-run, --back)" ;;
    esac
    shift
done
[ -d "$root" ] || die 2 "$root is no folder"
# Absolute, so that no name can be taken for an option.
root=$(cd -- "$root" && pwd)
case $archive in
    '' | /*) ;;
    *) archive=$PWD/$archive ;;
esac
if [ -n "$back" ]; then go_back; else upgrade; fi
