#!/usr/bin/env bash
# Installs what the tests need and the system lacks: with npm, beside this script, and with apt, as root or through sudo; without
# either it says so, and the tests that need a missing program are skipped.
set -euo pipefail

azurite=$(dirname "$0")/azurite
# npm writes the first when it has installed what the second says.
if [ ! "$azurite/node_modules/.package-lock.json" -nt "$azurite/package-lock.json" ]; then
  echo "installing azurite"
  npm ci --prefix "$azurite" --silent --no-audit --no-fund
fi

packages=()

need_program() {
  PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || packages+=("${2:-$1}")
}

compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || packages+=(postgresql)
need_program psql postgresql-client
need_program tmux
need_program rsync
need_program setfacl acl
need_program setfattr attr
need_program zstd
need_program python3
/usr/bin/python3 -c 'import cryptography, zstandard' 2>/dev/null ||
  packages+=(python3 python3-cryptography python3-zstandard)
need_program sqlite3
need_program strace
need_program radosgw
need_program ceph-mon
need_program ceph-osd
need_program ceph ceph-common
need_program swift-proxy-server swift-proxy
need_program swift-account-server swift-account
need_program swift-container-server swift-container
need_program swift-object-server swift-object
need_program sshd openssh-server
need_program ssh-agent openssh-client
need_program vsftpd
need_program openssl
need_program memcached
need_program systemd-analyze systemd
need_program systemd-nspawn systemd-container
need_program crontab cron
need_program zsh
need_program fish
[ ! -c /dev/fuse ] || need_program lowntfs-3g ntfs-3g

if [ ${#packages[@]} -eq 0 ]; then
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    echo "not root and no sudo: install by hand: apt-get install ${packages[*]}" >&2
    exit 0
  fi
  as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null; then
  echo "no apt-get: install by hand what these Debian packages hold: ${packages[*]}" >&2
  exit 0
fi

echo "installing ${packages[*]}"
"${as_root[@]}" apt-get -qq update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get -qq -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 install --no-install-recommends "${packages[@]}" >/dev/null
