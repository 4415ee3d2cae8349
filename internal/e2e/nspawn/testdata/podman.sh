#!/bin/sh
# Makes a copy of this machine for podman in the directory $1, in memory, and runs
# /root/go.sh there. It is run in namespaces of its own, which end with it. What this
# machine does not let containers do (limits, unified control groups, networks) they
# leave alone.
set -e
mount -t proc proc /proc
mount -t tmpfs -o mode=755 copy "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
for fs in proc sys dev; do mount --rbind "/$fs" "$1/root/$fs"; done
for fs in run tmp var/lib/containers; do
    mkdir -p "$1/root/$fs"
    mount -t tmpfs copy "$1/root/$fs"
done
mkdir -p "$1/root/etc/containers"
cat >"$1/root/etc/containers/storage.conf" <<END
[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
END
cat >"$1/root/etc/containers/containers.conf" <<END
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=1024:1024"]
netns = "none"
[engine]
runtime = "$(command -v runc)"
cgroup_manager = "cgroupfs"
END
cp -R "$2/." "$1/root/root/"
# Not by chroot alone: a program that enters a container begins at the root of its mounts.
mkdir "$1/root/old"
cd "$1/root"
pivot_root . old
exec chroot . sh -c 'umount -l /old; exec sh /root/go.sh'
