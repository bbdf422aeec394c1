#!/usr/bin/env bash
# Installs the Debian packages that the build, the tests and the linters use and that are missing.
# Where nothing is missing it needs neither network nor privileges.
set -euo pipefail

build=(g++ git python3-dev python3-venv)
peers=(libtcmalloc-minimal4 libmimalloc2.0 libjemalloc2)
programs=(redis-server redis-tools sqlite3 ghostscript valgrind)
linters=(clang-14 clang-format-14 clang-tidy-14)

missing=()
for package in "${build[@]}" "${peers[@]}" "${programs[@]}" "${linters[@]}"; do
  state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $state == installed ]] || missing+=("$package")
done

if ((${#missing[@]})); then
  as_root=()
  ((EUID == 0)) || as_root=(sudo -n)
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" \
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
echo "packages: installed now: ${missing[*]:-none}"
