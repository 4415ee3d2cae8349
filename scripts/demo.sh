#!/usr/bin/env bash
# Shows the way of a message on a simulated module: power-on to PUBACK, and a
# message down. `make demo` builds the programs and runs it.
#
#   ONCE=1 scripts/demo.sh    ends when all is shown, instead of staying up
#
# Everything lives in one temporary directory, and nothing is left behind.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$PWD/bin
patience=60 # seconds; the bound of every wait

# The example product of the vendor's quick guide: published, nobody's secret.
product_key=b1KCi45LcCP
product_secret=VWll9fiYWKiwraBk
imei=862991419835241
update=/$product_key/$imei/update
get=/$product_key/$imei/get

for program in airbridged airbridgectl airsim; do
    if [ ! -x "$bin/$program" ]; then
        echo "demo: $bin/$program is missing; run: make demo" >&2
        exit 1
    fi
done

# The path of a Unix socket has at most 107 bytes, so no deep TMPDIR.
dir=$(mktemp -d /tmp/airbridged-demo.XXXXXX)
socket=$dir/airbridged.sock
sim='' daemon='' events='' subscriber='' watcher=''

# end PID: asks a process to stop, and makes sure that it has.
end() {
    [ -n "$1" ] || return 0
    kill -TERM "$1" 2>/dev/null || return 0
    if ! timeout 10 tail --pid="$1" -f /dev/null; then kill -KILL "$1" 2>/dev/null || true; fi
    wait "$1" 2>/dev/null || true
}

# shellcheck disable=SC2317 # called by the trap
cleanup() {
    local code=$?
    trap - EXIT
    trap '' INT TERM HUP
    for pid in "$watcher" "$subscriber" "$events" "$daemon" "$sim"; do end "$pid"; done
    if [ "$code" != 0 ]; then
        for log in "$dir"/*.log; do
            printf -- '--- the end of %s\n' "${log##*/}" >&2
            tail -n 20 "$log" >&2 || true
        done
        echo "demo: failed" >&2
    fi
    rm -rf "$dir"
    exit "$code"
}
trap cleanup EXIT
trap 'exit 0' INT TERM HUP

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

# typed COMMAND...: a command as one would type it.
typed() {
    local word line=''
    for word in "$@"; do
        word=${word/#"$bin/"/bin/}
        if [[ ! $word =~ ^[A-Za-z0-9_./:=@%+,-]+$ ]]; then word="'${word//\'/\'\\\'\'}'"; fi
        line+=" $word"
    done
    printf '$%s\n' "$line"
}

# show COMMAND...: prints a command, runs it, and prints its output, which is
# also left in $shown.
show() {
    typed "$@"
    shown=$("$@")
    printf '%s\n' "$shown"
}

# alive: fails when a program that has to run does not run any more.
alive() {
    if [ -n "$sim" ] && ! kill -0 "$sim" 2>/dev/null; then fail 'airsim ended by itself'; fi
    if [ -n "$daemon" ] && ! kill -0 "$daemon" 2>/dev/null; then fail 'airbridged ended by itself'; fi
}

# await FILE PATTERN [show]: follows what a program writes to FILE until a line
# has PATTERN in it; with show, prints the lines on the way.
await() {
    local file=$1 pattern=$2 mode=${3:-} line part='' deadline=$((SECONDS + patience))
    exec 3< <(exec tail -n +1 -f "$file")
    watcher=$!
    while ((SECONDS < deadline)); do
        alive
        if ! IFS= read -r -t 1 line <&3; then
            part+=$line
            continue
        fi
        line=$part$line part=''
        if [ "$mode" = show ]; then printf '%s\n' "$line"; fi
        if [[ $line == *"$pattern"* ]]; then
            exec 3<&-
            end "$watcher"
            watcher=''
            return 0
        fi
    done
    fail "within $patience s ${file##*/} had no line with: $pattern"
}

say 'a simulated Air780EP with a SIM, and the cloud behind it'
: >"$dir/airsim.log"
export AIRSIM_CONTROL=$dir/airsim.sock
"$bin/airsim" --link "$dir/modem" --personality air780ep --latency --rtt 80ms \
    --imei "$imei" --product-key "$product_key" --product-secret "$product_secret" --web 127.0.0.1:0 >"$dir/airsim.log" 2>&1 &
sim=$!
await "$dir/airsim.log" /dev/pts/ show
await "$dir/airsim.log" 'page at'
page=$(sed -n 's/.*page at //p' "$dir/airsim.log")

# A port that nobody has, for the daemon's own page.
while port=$((20000 + RANDOM % 12000)); (exec 4<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done

cat <<END

open these two in a browser on this machine, and watch:

  $page   the module: the conversation as it goes, and buttons that let something go wrong
  http://127.0.0.1:$port/   the daemon: how it is, and why
END

say 'the daemon, with this configuration'
(umask 077 && printf '%s\n' "$product_secret" >"$dir/product-secret")
cat >"$dir/airbridged.toml" <<END
[modem]
device = "$dir/modem"

[device]
product_key = "$product_key"
product_secret_file = "$dir/product-secret"

[state]
dir = "$dir/state"

[outbox]
dir = "$dir/state/outbox"

[socket]
path = "$socket"

[mqtt]
socket = ""

[metrics]
listen = ""

[web]
listen = "127.0.0.1:$port"
END
cat "$dir/airbridged.toml"
: >"$dir/airbridged.log"
"$bin/airbridged" --config "$dir/airbridged.toml" >"$dir/airbridged.log" 2>&1 &
daemon=$!
await "$dir/airbridged.log" '"ready"'

export AIRBRIDGE_SOCKET=$socket
say 'from power-on to an MQTT session, as airbridgectl events tells it'
: >"$dir/events.log"
"$bin/airbridgectl" events >"$dir/events.log" 2>&1 &
events=$!
await "$dir/events.log" '-> online' show

say 'up: QoS 0, best effort; then QoS 1, which waits for the PUBACK'
if command -v curl >/dev/null; then
    publish() { show curl -sS --unix-socket "$socket" --data-binary "$2" "http://localhost/v1/publish?topic=$update&qos=$1&wait=30s"; }
else
    publish() { show "$bin/airbridgectl" pub --qos "$1" --wait 30s "$update" "$2"; }
fi
publish 0 '{"temperature":21.5}'
publish 1 '{"temperature":21.7}'
[[ $shown == *acked* ]] || fail 'the QoS 1 message was not acknowledged'

say 'what the cloud received'
if command -v curl >/dev/null; then
    show curl -sS --unix-socket "$AIRSIM_CONTROL" 'http://airsim/v1/messages?follow=0'
    [[ $shown == *21.5* && $shown == *21.7* ]] || fail 'a message did not arrive'
else
    show "$bin/airsim" 'do' counters
    [[ $shown == *'"publishes":2'* ]] || fail 'a message did not arrive'
fi

say 'down: a program listens, and the cloud sends'
: >"$dir/sub.log"
typed "$bin/airbridgectl" sub --json -n 1 "$get"
"$bin/airbridgectl" sub --json -n 1 "$get" >"$dir/sub.log" 2>&1 &
subscriber=$!
# Only what is sent after the cloud acknowledged the filter is sure to arrive:
# that is said in the first line, or in one of its own.
await "$dir/sub.log" '"granted"'
if [[ $(<"$dir/sub.log") != *'"granted":true'* ]]; then await "$dir/sub.log" '"type":"granted"'; fi
cat "$dir/sub.log"
show "$bin/airsim" 'do' push "$get" '{"led":"on"}'
await "$dir/sub.log" '"type":"message"'
tail -n 1 "$dir/sub.log"
wait "$subscriber" || fail 'the subscriber failed'
subscriber=''

say 'how things stand'
show "$bin/airbridgectl" status

if [ "${ONCE:-}" = 1 ]; then
    say 'done; everything is stopped and removed'
    exit 0
fi

cat <<END

== it stays up until Ctrl-C. To try next, in another terminal:

cd $PWD
export AIRBRIDGE_SOCKET=$socket AIRSIM_CONTROL=$AIRSIM_CONTROL

bin/airbridgectl status
bin/airbridgectl events
bin/airbridgectl pub --wait 30s $update hello
bin/airbridgectl sub $get
bin/airsim do push $get "hello back"
curl --unix-socket \$AIRBRIDGE_SOCKET http://localhost/v1/status
curl --unix-socket \$AIRBRIDGE_SOCKET http://localhost/metrics

# let something go wrong, and watch airbridgectl events, or the daemon's page
# http://127.0.0.1:$port/; the buttons of $page do the same:
bin/airsim do closed
bin/airsim do reboot
bin/airsim do outage on
bin/airsim do outage off
bin/airsim do help

tail -f $dir/airbridged.log
END
code=0
wait -n "$daemon" "$sim" || code=$?
fail "a program ended by itself with exit code $code"
