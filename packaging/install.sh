#!/bin/sh
# Installs airbridged from the directory that this file is in, on a system without
# a package manager or without systemd.
#
#   ./install.sh [ROOT]
#
# ROOT is where the system's root is mounted, / if it is not given. What belongs to
# the operator stays as it is: the configuration, and the settings of the init
# script. Nothing is started.
set -eu
root=${1:-}
root=${root%/}
cd "$(dirname "$0")"

mkdir -p "$root/usr/bin" "$root/etc/init.d" "$root/etc/airbridged/airbridged.toml.d"
for program in airbridged airbridgectl; do
    # Not over a program that runs: the new one takes its name.
    cp "bin/$program" "$root/usr/bin/$program.new"
    chmod 755 "$root/usr/bin/$program.new"
    mv "$root/usr/bin/$program.new" "$root/usr/bin/$program"
done
if [ -e "$root/etc/openwrt_release" ]; then
    cp init/airbridged.openwrt "$root/etc/init.d/airbridged"
else
    cp init/airbridged "$root/etc/init.d/airbridged"
fi
chmod 755 "$root/etc/init.d/airbridged"
if [ ! -e "$root/etc/airbridged/airbridged.toml" ]; then
    : >"$root/etc/airbridged/airbridged.toml"
fi
cp config-README "$root/etc/airbridged/airbridged.toml.d/README"
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
