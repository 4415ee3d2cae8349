#!/usr/bin/env bash
# Builds the package of 0.1.0 out of the history, once, for tests of upgrades from it.
#
#   packaging/earlier.sh OUTDIR
#
# Where the history is not there it says so, and nothing is built.
set -euo pipefail
cd "$(dirname "$0")/.."

commit=0c241714923b9f53b7a49a8597c634e679140704
out=$1
if compgen -G "$out/airbridged_*.deb" >/dev/null; then exit 0; fi
if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
    echo '== earlier: the history is not here, the package of 0.1.0 is not built from it'
    exit 0
fi
mkdir -p "$out"
out=$(realpath "$out")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git archive "$commit" | tar -x -C "$work"
(cd "$work" && packaging/deb.sh "$out" "$(dpkg --print-architecture)")
