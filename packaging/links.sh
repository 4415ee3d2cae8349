#!/usr/bin/env bash
# Takes links out of documents that were put somewhere without what they lead to: the
# words stay.
#
#   packaging/links.sh [--check] FILE.md...
#
# --check changes nothing, and fails where there is such a link.
set -euo pipefail

check=
if [ "$1" = --check ]; then
    check=1
    shift
fi
status=0
for file in "$@"; do
    while read -r target; do
        if [ -e "$(dirname "$file")/$target" ]; then continue; fi
        if [ -n "$check" ]; then
            echo "$file leads to $target, which is not there" >&2
            status=1
            continue
        fi
        pattern=$(sed 's/[.[\*^$/]/\\&/g' <<<"$target")
        sed -i -E "s/!?\[([^]]*)\]\($pattern(#[^)]*)?\)/\1/g" "$file"
    done < <(grep -oE '\]\([^)#]+[)#]' "$file" | sed -E 's/^\]\((.*)[)#]$/\1/' | grep -vE '^[a-z]+:' | sort -u)
done
exit $status
