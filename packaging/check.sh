#!/usr/bin/env bash
# Checks the packages and the tarball of this machine's architecture: lintian has
# nothing to say, install.sh puts in place what works and keeps the operator's files,
# and package, tarball and "make build" hold the same programs, bit for bit.
#
#   packaging/check.sh VERSION BIN
#
# BIN holds the programs and their bills of materials, build/man the pages.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$1 bin=$2
for tool in lintian dh dpkg-buildpackage scdoc; do
    if ! command -v "$tool" >/dev/null; then
        echo "== check-package: $tool is not installed, skipped"
        exit 0
    fi
done
arch=$(dpkg --print-architecture)
out=build/check
rm -rf "$out"

fail() {
    echo "check-package: $*" >&2
    exit 1
}

packaging/deb.sh "$out" "$arch"
echo "== check-package: $(lintian --version | tr '\n' ' ')"
lintian --allow-root --tag-display-limit 0 --fail-on error,warning "$out"/*.changes
for package in airbridged airsim; do dpkg-deb -x "$out/${package}"_*.deb "$out/deb"; done
# What preinst, postinst and the units take for a configuration that nobody wrote.
[ "$(stat -c %s "$out/deb/etc/airbridged/airbridged.toml")" = 0 ] || fail 'the configuration file of the package is not empty'

packaging/tarball.sh "$out" "$arch" "$version" "$bin"
tar -C "$out" -xzf "$out"/*.tar.gz
root=$PWD/$out/root
mkdir -p "$root/usr/share/man"
shell='sh'
if command -v busybox >/dev/null; then shell='busybox sh'; fi
$shell "$out/airbridged-$version-linux-$arch/install.sh" "$root" >/dev/null
echo '# mine' >"$root/etc/airbridged/airbridged.toml"
echo '# old' >"$root/usr/bin/airbridged"
$shell "$out/airbridged-$version-linux-$arch/install.sh" "$root/" >/dev/null
[ "$(cat "$root/etc/airbridged/airbridged.toml")" = '# mine' ] || fail 'install.sh overwrote the configuration'
cmp packaging/init/airbridged "$root/etc/init.d/airbridged"
touch "$root/etc/openwrt_release"
$shell "$out/airbridged-$version-linux-$arch/install.sh" "$root" >/dev/null
cmp packaging/openwrt/airbridged.init "$root/etc/init.d/airbridged"
for page in airbridged.8 airbridged.toml.5 airbridgectl.1; do
    [ -s "$root/usr/share/man/man${page##*.}/$page" ] || fail "install.sh did not install $page"
done

packaging/links.sh --check "$out"/deb/usr/share/doc/airbridged/*.md "$out/airbridged-$version-linux-$arch"/{,docs/}*.md

gone=$PWD/$out/gone
cp -R "$root" "$gone"
: >"$gone/etc/airbridged/airbridged.toml"
$shell "$out/airbridged-$version-linux-$arch/install.sh" --remove "$gone" >/dev/null
left=$(find "$gone" -name '*airbridge*')
[ -z "$left" ] || fail "install.sh --remove leaves $left"

"$root/usr/bin/airbridged" --version | grep -qF "airbridged $version (" || fail 'the daemon in the tarball tells another version'
"$root/usr/bin/airbridgectl" --version | grep -qF "$version" || fail 'the airbridgectl in the tarball tells another version'
for program in airbridged airbridgectl airsim; do
    cmp "$bin/$program" "$out/deb/usr/bin/$program"
    [ $program = airsim ] || cmp "$bin/$program" "$root/usr/bin/$program"
    sum=$(sha256sum <"$bin/$program")
    package=airbridged
    [ $program = airsim ] && package=airsim
    grep -qF "${sum%% *}" "$out/deb/usr/share/doc/$package/$program.cdx.json" || fail "the bill of materials is not that of $program"
done
echo '== check-package: package, tarball and make build hold the same programs'
