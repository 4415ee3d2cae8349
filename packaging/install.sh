#!/bin/sh
# Installs airbridged from the directory that this file is in, on a system without
# a package manager or without systemd, or removes what it installed.
#
#   ./install.sh [--remove] [ROOT]
#
# ROOT is where the system's root is mounted, / if it is not given. What belongs to
# the operator stays as it is: the configuration, and the settings of the init
# script. Nothing is started.
set -eu
remove=
if [ "${1:-}" = --remove ]; then
    remove=1
    shift
fi
root=${1:-}
root=${root%/}
cd "$(dirname "$0")"

etc=$root/etc/airbridged
script=$root/etc/init.d/airbridged

if [ -n "$remove" ]; then
    if [ -z "$root" ] && [ -x "$script" ]; then "$script" stop; fi
    rm -f "$root/usr/bin/airbridged" "$root/usr/bin/airbridgectl" "$script" "$etc/airbridged.toml.d/README"
    for page in man/*; do
        rm -f "$root/usr/share/man/man${page##*.}/${page##*/}"
    done
    if [ ! -s "$etc/airbridged.toml" ]; then rm -f "$etc/airbridged.toml"; fi
    rmdir "$etc/airbridged.toml.d" "$etc" 2>/dev/null || true
    echo 'removed. What belongs to you is left, where it is:'
    for left in "$etc" "$root/etc/default/airbridged" "$root/var/lib/airbridged"; do
        if [ -e "$left" ]; then echo "  $left"; fi
    done
    echo 'and the directories that the configuration names. The DeviceSecret in the last one is handed out once.'
    exit 0
fi

mkdir -p "$root/usr/bin" "$root/etc/init.d" "$etc/airbridged.toml.d"
for program in airbridged airbridgectl; do
    # Not over a program that runs: the new one takes its name.
    cp "bin/$program" "$root/usr/bin/$program.new"
    chmod 755 "$root/usr/bin/$program.new"
    mv "$root/usr/bin/$program.new" "$root/usr/bin/$program"
done
if [ -e "$root/etc/openwrt_release" ]; then
    cp init/airbridged.openwrt "$script"
else
    cp init/airbridged "$script"
fi
chmod 755 "$script"
if [ ! -e "$etc/airbridged.toml" ]; then
    : >"$etc/airbridged.toml"
fi
cp config-README "$etc/airbridged.toml.d/README"
if [ -d "$root/usr/share/man" ]; then
    for section in 1 5 8; do
        mkdir -p "$root/usr/share/man/man$section"
        cp man/*."$section" "$root/usr/share/man/man$section"
    done
fi
cat <<END
installed. Next, on the gateway:
  write /etc/airbridged/airbridged.toml.d/site.toml (README beside it; example.toml here
    has every key), and the ProductSecret into the file that product_secret_file names,
    with mode 0600
  make a user airbridged in the group of the serial port, or let the daemon run as root
  airbridged --check-config && /etc/init.d/airbridged start
END
