#!/usr/bin/env bash
# govulncheck over the whole module: a known vulnerability that this code calls fails.
# Its database is on the network; without it there is nothing to compare with, which
# is told and is no failure.
set -euo pipefail
cd "$(dirname "$0")/.."

echo '== vulns: govulncheck ./...'
status=0
out=$(go tool -modfile=tools/go.mod govulncheck ./... 2>&1) || status=$?
if [ "$status" = 1 ] && [[ $out == *'fetching vulnerabilities'* ]]; then
    echo "vulns: not checked, the database cannot be reached: ${out#*: }"
    exit 0
fi
echo "$out"
exit "$status"
