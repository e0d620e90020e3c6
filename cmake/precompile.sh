#!/bin/bash
# The compiler of the precompiled headers: beside what it writes it leaves a digest of all that it has read (FILE.pch.sum),
# which is what ccache goes by (CCACHE_PCH_EXTSUM). The file itself holds the paths of its build folder, so that no other
# checkout would ever hit what was compiled with it.
# A digest of half of it would be one that other headers have, too.
set -euo pipefail
"$@"
while [ $# -gt 0 ]; do
  case $1 in
    -MF) deps=$2 ;;
    -o) out=$2 ;;
  esac
  shift
done
case $out in *.pch) ;; *) exit 0 ;; esac
# A rule of make: the target with its colon, then the files, lines continued by a backslash. CMake's own file among them only
# names ours, by its path.
sed 's/^[^:]*: *//; s/\\$//' "$deps" | xargs -n 1 | grep -v '/cmake_pch\.hxx' | xargs cat | sha256sum | cut -c1-64 >"$out.sum"
