#!/bin/sh
# Writes Debian's changelog, on stdout, of CHANGELOG.md.
set -eu
cd "$(dirname "$0")/.."

sed -n 's/^## //p' CHANGELOG.md | while read -r version day; do
    echo "airbridged ($(echo "$version" | tr - '~')) unstable; urgency=medium"
    echo
    sed "1,/^## $version /d; /^## /,\$d" CHANGELOG.md | sed -n '/^- /,$p' | sed 's/^- /* /' | fmt -t -w 70 | sed '/./s/^/  /' | sed '$ {/^$/d}'
    echo
    echo " -- airbridged authors <airbridged@packages.invalid>  $(LC_ALL=C date -u -R -d "$(echo "$day" | tr -d '()') 12:00 UTC")"
    echo
done
