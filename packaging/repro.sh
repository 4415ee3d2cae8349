#!/usr/bin/env bash
# Builds the packages of one architecture a second time, in a directory of another
# name and depth, with another time zone, locale and home, and compares.
#
#   packaging/repro.sh FIRST ARCH
#
# FIRST is the directory with the packages that packaging/deb.sh made.
set -euo pipefail
cd "$(dirname "$0")/.."

first=$(realpath "$1")
arch=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/home"
GOCACHE=$(go env GOCACHE) GOMODCACHE=$(go env GOMODCACHE)
export GOCACHE GOMODCACHE
TZ=Pacific/Kiritimati LC_ALL=C.UTF-8 HOME=$work/home packaging/deb.sh "$work/out" "$arch" "$work/somewhere-else/deeper" >/dev/null
status=0
for package in "$first"/*_"$arch".deb; do
    one=$(sha256sum <"$package")
    two=$(sha256sum <"$work/out/${package##*/}")
    if [ "$one" = "$two" ]; then
        echo "same ${one%% *} ${package##*/}"
    else
        echo "DIFFERENT ${package##*/}: ${one%% *} ${two%% *}"
        status=1
    fi
done
exit $status
