#!/usr/bin/env bash
# Packs the programs for systems without dpkg or systemd.
#
#   packaging/tarball.sh OUTDIR ARCH VERSION BIN
#
# BIN holds the programs and their bills of materials, build/man the pages. The same
# sources give the same bytes: everything is dated $SOURCE_DATE_EPOCH.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

out=$1 arch=$2 version=$3 bin=$4
name=airbridged-$version-linux-$arch
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/$name

install -d "$tree"/{bin,init,man,completion,docs}
install -m 755 "$bin"/{airbridged,airbridgectl} "$tree/bin"
install -m 755 packaging/init/airbridged "$tree/init/airbridged"
install -m 755 packaging/openwrt/airbridged.init "$tree/init/airbridged.openwrt"
install -m 755 packaging/install.sh "$tree"
install -m 644 build/man/airbridged.8 build/man/airbridged.toml.5 build/man/airbridgectl.1 "$tree/man"
install -m 644 packaging/completion/{airbridged,airbridgectl}.bash packaging/completion/{_airbridged,_airbridgectl} "$tree/completion"
install -m 644 internal/config/example.toml "$tree/example.toml"
install -m 644 packaging/etc/README "$tree/config-README"
install -m 644 "$bin"/{airbridged,airbridgectl}.cdx.json README.md LICENSE NOTICE packaging/debian/copyright "$tree"
install -m 644 docs/*.md docs/*.svg docs/*.png "$tree/docs"
packaging/links.sh "$tree"/*.md "$tree"/docs/*.md

mkdir -p "$out"
tar -C "$work" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c "$name" |
    gzip -9n >"$out/$name.tar.gz"
stat -c '%n %s' "$out/$name.tar.gz"
