#!/usr/bin/env bash
# Builds the Debian packages of one architecture.
#
#   packaging/deb.sh OUTDIR ARCH [TREE]
#
# The sources are copied to TREE (a temporary directory if it is not given),
# with packaging/debian as its debian/, and built there without the network.
# The packages, their .buildinfo and their .changes are moved to OUTDIR.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

out=$1
arch=$2
for tool in dpkg-buildpackage dh scdoc go; do
    if ! command -v "$tool" >/dev/null; then
        echo "deb: $tool is missing; apt-get install dpkg-dev debhelper scdoc, and Go as new as go.mod says" >&2
        exit 1
    fi
done
mkdir -p "$out"
out=$(realpath "$out")

work=${3:-}
if [ -z "$work" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
fi
tree=$work/airbridged
mkdir -p "$tree"

# What the build may need from outside it fetches here; the build itself must not.
go mod download
go -C tools mod download
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
tar -c --exclude-vcs --exclude=./bin --exclude=./build --exclude=./dist . | tar -x -C "$tree"
cp -R "$tree/packaging/debian" "$tree/debian"
packaging/changelog.sh >"$tree/debian/changelog"

echo "== deb: $arch"
log=$work/$arch.log
if ! (cd "$tree" && COMMIT=$commit dpkg-buildpackage -b -d -us -uc -a "$arch" >"$log" 2>&1); then
    cat "$log" >&2
    exit 1
fi
mv "$work"/*_"$arch".{deb,buildinfo,changes} "$out"/
(cd "$out" && stat -c '%n %s' -- *_"$arch".deb)
