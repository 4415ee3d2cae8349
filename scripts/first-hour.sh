#!/usr/bin/env bash
# Plays the first hour of a new gateway against airsim, and prints docs/first-hour.md:
# what somebody types, and what comes. A test compares the two, so the page stays true;
# `make first-hour` writes it anew.
#
#   scripts/first-hour.sh [BIN]    the programs are in BIN (default bin)
#
# What differs from run to run is masked. It wants root, for a disk that it can fill.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(realpath "${1:-bin}")
export PATH=$bin:$PATH LC_ALL=C TZ=UTC
patience=60 # seconds; the bound of every wait

# The path of a Unix socket has at most 107 bytes, so no deep TMPDIR.
dir=$(mktemp -d /tmp/airbridged-hour.XXXXXX)
export AIRBRIDGE_SOCKET=$dir/airbridged.sock AIRSIM_CONTROL=$dir/airsim.sock
sim='' daemon=''

# shellcheck disable=SC2317 # called by the trap
cleanup() {
    local code=$?
    trap - EXIT
    for pid in $daemon $sim; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    if [ "$code" != 0 ]; then tail -n 20 "$dir"/*.log >&2 || true; fi
    umount "$dir/disk" 2>/dev/null || true
    rm -rf "$dir"
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

mask() {
    sed -E -e "s#$dir#/home/me/gateway#g" \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}/DATE TIME/g' \
        -e 's/\b00[0-9a-z]{22}\b/ID/g' -e 's#/dev/pts/[0-9]+#/dev/pts/N#g' \
        -e 's/uid [0-9]+/uid N/g' -e 's/try again in [0-9]+ s/try again in N s/' -e 's/\b[0-9]+ (KiB|bytes)\b/N \1/g'
}

say() { printf '%s\n\n' "$*"; }

# typed TEXT: begins a block with what somebody types.
typed() { printf '```console\n$ %s\n' "$1"; }
done_() { printf '```\n\n'; }

# run COMMAND: shows a command and what it prints, and its exit status where that is not 0.
run() {
    local code=0
    typed "$1"
    bash -c "$1" 2>&1 | mask || code=${PIPESTATUS[0]}
    if [ "$code" != 0 ]; then printf '(exit status %s)\n' "$code"; fi
    done_
}

# status STATE [CAUSE]: waits until that is so, and shows the rows of the page that say how
# it is, and what to do. What is shown is what was waited for, whatever comes next.
status() {
    local deadline=$((SECONDS + patience)) page='' why="why        ${2:-}"
    while ((SECONDS < deadline)); do
        page=$(airbridgectl status 2>/dev/null || true)
        if [[ $page == "state      $1:"* ]] && { [ $# = 1 ] || [[ $page == *$'\n'"$why"$'\n'* ]]; }; then
            typed 'airbridgectl status'
            mask <<<"$page" | awk '/^[^ ]/ { show = /^(state|why|what to do|warning)/; if (!show && last) print "..."; last = show } show'
            done_
            return
        fi
        sleep 0.1
    done
    printf 'first-hour: it does not become %s:\n%s\n' "$*" "$page" >&2
    return 1
}

begin() {
    airbridged --config airbridged.toml >>airbridged.log 2>&1 &
    daemon=$!
}

cd "$dir"
mkdir disk
mount -t tmpfs -o size=4m,mode=700 tmpfs disk
airsim --link "$dir/modem" --personality air780ep --connects-per-minute -1 >airsim.log 2>&1 &
sim=$!
# So that the page is done within a minute, and not within an hour.
mkdir airbridged.toml.d
cat >airbridged.toml.d/hurry.toml <<END
[recovery]
status_poll = "2s"
backoff_max = "5s"
connects_per_minute = 60
[outbox]
dir = "$dir/disk/outbox"
[mqtt]
socket = ""
[metrics]
listen = ""
END

cat <<'END'
# The first hour

What somebody sees who sets a gateway up, makes the usual mistakes, and stands beside it when things go wrong. It is a
transcript: `scripts/first-hour.sh` plays it against `airsim`, a simulated module with a simulated cloud, and the tests
compare it with this page. On a gateway with the package the configuration is
`/etc/airbridged/airbridged.toml.d/site.toml`, the secret lies in `/etc/credstore`, and systemd starts the daemon
([install.md](install.md)); here all of it is in one directory. `...` stands for what is left out.

END

say '## A wrong configuration'
say 'The ProductKey was copied from a document as it stood there, a key is misspelt, and so is the region.'
cat >airbridged.toml <<END
[modem]
device = "$dir/modem"
apm    = "CMIOT"

[device]
product_key         = "YOUR_PRODUCT_KEY"
product_secret_file = "$dir/product-secret"

[cloud]
region = "cn-shangai"

[state]
dir = "$dir/state"

[socket]
path = "$dir/airbridged.sock"
END
run 'cat airbridged.toml'
run 'airbridged --check-config --config airbridged.toml'
say 'All mistakes are listed at once, each with its file, line and column, and with what to do. The daemon would not start.'

say '## The right one'
(umask 077 && echo VWll9fiYWKiwraBk >product-secret)
sed -i -e 's/apm /apn /' -e 's/YOUR_PRODUCT_KEY/b1KCi45LcCP/' airbridged.toml
say 'The two are corrected, and the ProductSecret is in its file, which only its owner can read. The region is a warning: there may be new ones.'
run 'airbridged --check-config --config airbridged.toml'
sed -i -e 's/cn-shangai/cn-shanghai/' airbridged.toml
run 'airbridged --check-config --config airbridged.toml'

say '## The first message'
begin
say 'The daemon runs: it has found the module, registered the device, stored its secret, and logged in.'
status online
# shellcheck disable=SC2016 # it is Markdown
say 'Nobody has to copy the names of product and device into a topic. `--wait` is there to see that the cloud has the message.'
run 'airbridgectl topic update'
# shellcheck disable=SC2016 # it is what somebody types
run 'airbridgectl pub --wait 30s "$(airbridgectl topic update)" '\''{"temperature":21.5}'\'
say 'A topic that was copied from an example is taken, and told: the cloud acknowledges such a message, and drops it.'
run 'airbridgectl pub --wait 30s /b1KCi45LcCP/another-device/update hello'

say '## The SIM comes out'
airsim 'do' sim removed >/dev/null
status recovering sim-missing
say 'Messages are taken all the same, and kept on disk until the cloud has them.'
# shellcheck disable=SC2016 # it is what somebody types
run 'airbridgectl pub "$(airbridgectl topic update)" '\''{"temperature":21.7}'\'
say 'It is put in again. The daemon would notice by itself; whoever stands beside it need not wait.'
airsim 'do' sim inserted >/dev/null
typed 'airbridgectl reconnect'
airbridgectl reconnect >/dev/null
printf 'tries now\n'
done_
status online

say '## The antenna is off'
airsim 'do' service lost >/dev/null
status recovering not-registered
say 'Screwed on again, it comes back by itself.'
airsim 'do' service back >/dev/null
status online

say '## The secret is not the right one'
say 'Somebody has reset the device in the console, so that the stored secret is not its secret any more.'
airsim 'do' rotate-secret >/dev/null
airsim 'do' recreate >/dev/null
status recovering device-secret-refused
run 'airbridgectl reprovision --yes'
status online

say '## The disk is full'
# Without a SIM nothing is sent meanwhile; what was sent would make room.
airsim 'do' sim removed >/dev/null
head -c 3000 /dev/zero | tr '\0' x >readings.txt
for ((i = 0; i < 50; i++)); do cat readings.txt && echo; done >many.txt
# shellcheck disable=SC2016 # it is what somebody types
send='airbridgectl pub -t "$(airbridgectl topic update)" -f readings.txt'
topic=$(airbridgectl topic update)
# What is allocated is still used: half a megabyte.
deadline=$((SECONDS + patience))
while ((SECONDS < deadline)); do
    dd if=/dev/zero of=disk/filler bs=4k oflag=append conv=notrunc 2>/dev/null || true
    if [[ $(airbridgectl pub --latest -t "$topic" -l <many.txt 2>&1) == *'disk is full'* ]]; then break; fi
done
run "$send"
say 'Nothing was kept, and the program knows. What is queued still goes out. There is room again:'
rm disk/filler
airsim 'do' sim inserted >/dev/null
status online >/dev/null
deadline=$((SECONDS + patience))
until airbridgectl pub --latest -t "$topic" -f readings.txt >/dev/null 2>&1 || ((SECONDS >= deadline)); do sleep 0.2; done
run "$send --wait 30s"

cat <<'END'
What to do about each cause is in [operations.md](operations.md), how the daemon comes back from what in
[recovery.md](recovery.md), and everything that a program can ask in [api.md](api.md).
END
