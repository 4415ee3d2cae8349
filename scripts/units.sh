#!/usr/bin/env bash
# Checks deploy/systemd with systemd's own tools, on the files as they are
# installed: unknown keys, missing programs, the exposure score, the udev rule,
# the user and the directory. What is not installed here is skipped, and said.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v systemd-analyze >/dev/null; then
    echo '== units: systemd-analyze is not installed, skipped'
    exit 0
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
"${MAKE:-make}" --no-print-directory -s install-systemd DESTDIR="$root" PREFIX=/usr UNITDIR=/usr/lib/systemd/system
units=$root/usr/lib/systemd/system
# verify looks for the programs; what they do is none of its business.
install -D /bin/true "$root/usr/bin/airbridged"
install -D /bin/true "$root/usr/bin/airbridgectl"

# quiet COMMAND...: it fails, or says anything: that is a mistake. Unknown keys
# alone do not change the exit status.
quiet() {
    local said status=0
    said=$("$@" 2>&1) || status=$?
    if [ $status -ne 0 ] || [ -n "$said" ]; then
        printf 'units: %s: exit status %d\n%s\n' "$*" $status "${said//$root/}" >&2
        exit 1
    fi
}

# verify UNIT...: instances of templates are links, as systemctl enable makes them.
verify() { quiet systemd-analyze verify --root="$root" --man=no --recursive-errors=no "$@"; }

# exposure MOST [DROP-IN]: of the service and of the template, in tenths.
exposure() {
    local unit name said
    for name in airbridged airbridged@; do
        unit=$units/$name.service
        rm -rf "$unit.d"
        if [ $# -gt 1 ]; then install -D -m 644 -t "$unit.d" "deploy/systemd/examples/$2.conf"; fi
        if ! said=$(systemd-analyze security --root="$root" --offline=true --threshold="$1" "$unit" 2>&1); then
            grep -v '✓' <<<"$said" >&2
            printf 'units: %s %s: exposure is above %s tenths\n' "$name.service" "${2-}" "$1" >&2
            exit 1
        fi
        verify "$unit"
        rm -rf "$unit.d"
    done
    echo "== units: ${2:-as installed}: exposure $(tail -n 1 <<<"$said" | sed 's/[^0-9]*\([0-9.]*\).*/\1/')"
}

echo "== units: systemd-analyze $(systemd-analyze --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')"
verify "$units"/*.socket "$units"/*.target
exposure 6
for example in deploy/systemd/examples/*.conf; do
    most=7
    case ${example##*/} in
        private-users.conf) most=4 ;;
        clock.conf | network.conf) most=13 ;;
    esac
    exposure $most "$(basename "$example" .conf)"
done

mkdir -p "$root/etc"
systemd-sysusers --root="$root" airbridged.conf >"$root/said" 2>&1 || { cat "$root/said" >&2; exit 1; }
grep -q '^airbridged:' "$root/etc/passwd"
quiet systemd-tmpfiles --root="$root" --create airbridged.conf
[ "$(stat -c %a "$root/run/airbridged")" = 755 ]

if systemd-analyze --version | awk 'NR == 1 { exit !($2 >= 254) }'; then
    quiet udevadm verify --no-summary --resolve-names=never "$root/usr/lib/udev/rules.d/90-airbridged.rules"
else
    echo '== units: udevadm verify needs systemd 254, skipped'
fi
