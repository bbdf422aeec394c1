#!/usr/bin/env bash
# Installs what the build, the tests and the linters use and this machine lacks, from Debian.
# Where nothing is missing it needs neither network nor privileges.
set -euo pipefail

libraries=(libtcmalloc-minimal4 libmimalloc2.0 libjemalloc2)
python=(python3-dev python3-venv)
servers=(postgresql) # its programs are not in PATH
# command:package
programs=(
  g++:g++ git:git readelf:binutils
  redis-server:redis-server redis-cli:redis-tools sqlite3:sqlite3 gs:ghostscript
  spin:spin node:nodejs chromium:chromium xz:xz-utils zstd:zstd
  clang++-14:clang-14 clang-format-14:clang-format-14 clang-tidy-14:clang-tidy-14
)

missing=()
for package in "${libraries[@]}" "${python[@]}" "${servers[@]}"; do
  state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $state == installed ]] || missing+=("$package")
done
for pair in "${programs[@]}"; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
# Debian splits CPython's own tests off; other interpreters have them.
python3 -c 'import test.test_gc' 2>/dev/null ||
  missing+=("$(python3 -c 'import sys; print("libpython%d.%d-testsuite" % sys.version_info[:2])')")

if ((${#missing[@]})); then
  as_root=()
  ((EUID == 0)) || as_root=(sudo -n)
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
echo "packages: installed now: ${missing[*]:-none}"
