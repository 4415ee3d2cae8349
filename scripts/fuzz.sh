#!/usr/bin/env bash
# Runs every fuzz target of the module for a short while.
#
#   FUZZTIME=5s scripts/fuzz.sh [PATTERN]
#
# PATTERN is a regular expression for the targets' names. FUZZTIME is what
# `go test -fuzztime` takes; whole seconds are shortened so that all targets
# together fuzz for at most FUZZTOTAL (240) seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

fuzztime=${FUZZTIME:-5s}
fuzztotal=${FUZZTOTAL:-240}
pattern=${1:-.}

# Only packages that have a target are compiled here; go test -list is the one
# that says which targets there are.
packages=$(grep -rlE --include='*_test.go' '^func Fuzz' . | xargs -r -n1 dirname | sort -u)
if [ -z "$packages" ]; then
    echo 'fuzz: no targets'
    exit 1
fi

targets=()
names=()
# shellcheck disable=SC2086 # one word per package
list=$(go test -list '^Fuzz' $packages)
while read -r first second _; do
    case $first in
    Fuzz*) names+=("$first") ;;
    ok)
        for name in "${names[@]}"; do
            if [[ $name =~ $pattern ]]; then targets+=("$second $name"); fi
        done
        names=()
        ;;
    esac
done <<<"$list"
if [ ${#targets[@]} = 0 ]; then
    echo "fuzz: no target matches $pattern"
    exit 1
fi

if [[ $fuzztime =~ ^([0-9]+)s$ ]] && ((BASH_REMATCH[1] * ${#targets[@]} > fuzztotal)); then
    each=$((fuzztotal / ${#targets[@]}))
    fuzztime=$((each > 0 ? each : 1))s
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# run PACKAGE NAME: one target; its output is in $log.
run() {
    go test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" "$1" >"$log" 2>&1
}

# deadline_race: the run found nothing, but go test failed because its own
# deadline fired while a worker was busy (go.dev/issue/75804, until Go 1.27).
deadline_race() {
    grep -q '^ *context deadline exceeded$' "$log" && ! grep -qE 'Failing input|panic:|fatal error:' "$log"
}

echo "== fuzz: ${#targets[@]} targets, $fuzztime each"
for target in "${targets[@]}"; do
    read -r package name <<<"$target"
    if ! run "$package" "$name" && ! { deadline_race && run "$package" "$name"; }; then
        cat "$log"
        echo "fuzz: $name of $package failed; the input is in its testdata/fuzz, and go test runs it again"
        exit 1
    fi
    execs=$(grep -oE 'execs: [0-9]+' "$log" | tail -n 1 || true)
    printf '%-12s %-44s %s\n' "${package##*/}" "$name" "${execs:-the seeds took all of the time}"
done
