#!/usr/bin/env bash
# Makes the two pictures of the dashboard in docs/: runs the daemon on a simulated
# module with faults for MINUTES (12), a Prometheus that scrapes it, and draws the
# queries of deploy/grafana/airbridged.json. `make picture` builds and runs it.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$PWD/bin
minutes=${MINUTES:-12}
out=${OUT:-$PWD/docs/dashboard.svg}

if ! command -v prometheus >/dev/null; then
    echo 'picture: needs prometheus; apt-get install prometheus' >&2
    exit 1
fi

# The path of a Unix socket has at most 107 bytes, so no deep TMPDIR.
dir=$(mktemp -d /tmp/airbridged-picture.XXXXXX)
pids=()
# shellcheck disable=SC2317 # called by the trap
cleanup() {
    trap - EXIT
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# free: a TCP port that nobody listens on.
free() {
    local port
    while port=$((20000 + RANDOM % 20000)); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}
metrics=127.0.0.1:$(free) prometheus=127.0.0.1:$(free)

(umask 077 && echo VWll9fiYWKiwraBk >"$dir/secret") # the vendor guide's published example
cat >"$dir/airbridged.toml" <<END
[modem]
device = "$dir/modem"
[device]
product_key = "b1KCi45LcCP"
product_secret_file = "$dir/secret"
[recovery]
backoff_max = "20s"
status_poll = "5s"
[cloud]
keepalive = "30s"
[cloud.timeouts]
puback = "10s"
[outbox]
dir = "$dir/outbox"
[state]
dir = "$dir/state"
[data]
monthly_budget = "1MiB"
[socket]
path = "$dir/api.sock"
[mqtt]
socket = ""
[metrics]
listen = "$metrics"
END
cat >"$dir/prometheus.yml" <<END
global: {scrape_interval: 2s, evaluation_interval: 10s}
rule_files: ["$PWD/deploy/prometheus/airbridged.rules.yml"]
scrape_configs:
  - job_name: airbridged
    static_configs: [{targets: ["$metrics"]}]
END
export AIRSIM_CONTROL=$dir/airsim.sock AIRBRIDGE_SOCKET=$dir/api.sock
"$bin/airsim" --link "$dir/modem" --control "$AIRSIM_CONTROL" --personality air780ep --latency --rtt 80ms --connects-per-minute -1 \
    --imei 862991419835241 --product-key b1KCi45LcCP --product-secret VWll9fiYWKiwraBk >"$dir/airsim.log" 2>&1 &
pids+=($!)
until [ -e "$dir/modem" ] && [ -S "$AIRSIM_CONTROL" ]; do sleep 0.1; done
"$bin/airbridged" --config "$dir/airbridged.toml" >"$dir/airbridged.log" 2>&1 &
pids+=($!)
prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" --web.listen-address="$prometheus" >"$dir/prometheus.log" 2>&1 &
pids+=($!)

topic=/b1KCi45LcCP/862991419835241
# Two programs: one every second, one now and then; and a reader.
(
    until "$bin/airbridgectl" status >/dev/null 2>&1; do sleep 0.2; done
    while :; do
        head -c $((RANDOM % 400 + 40)) /dev/zero | tr '\0' x | "$bin/airbridgectl" pub $topic/update - >/dev/null 2>&1 || true
        if ((RANDOM % 5 == 0)); then "$bin/airbridgectl" pub --qos 0 $topic/update "now and then" >/dev/null 2>&1 || true; fi
        if ((RANDOM % 6 == 0)); then "$bin/airsim" "do" push $topic/get '{"led":"on"}' >/dev/null 2>&1 || true; fi
        sleep 1
    done
) &
pids+=($!)
(while :; do
    "$bin/airbridgectl" sub $topic/get >/dev/null 2>&1 || true
    sleep 1
done) &
pids+=($!)

echo "== picture: $minutes minutes of a gateway's life"
step=$((minutes * 60 / 12))
for order in '' closed '' 'outage on' 'closed' 'outage off' '' 'csq 4' reboot 'csq 20' 'drop PUBACK' ''; do
    if [ -n "$order" ]; then "$bin/airsim" "do" "$order" >/dev/null || echo "picture: airsim refuses: $order" >&2; fi
    sleep "$step"
done
go -C tools run ./dashboard -prometheus "http://$prometheus" -minutes "$minutes" -o "$out" "$PWD/deploy/grafana/airbridged.json"
for picture in "$out" "${out%.svg}-2.svg"; do echo "== picture: $picture, $(wc -c <"$picture") bytes"; done
