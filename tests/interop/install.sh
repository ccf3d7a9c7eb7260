#!/bin/sh
# Installs the independent programs that `make interop` runs against, as far as they are missing.
set -eu
cd "$(dirname "$0")"
# Where Debian puts haproxy; not in everybody's path.
PATH="$PATH:/usr/sbin"

has() { command -v "$1" >/dev/null 2>&1; }

# openid-client needs the Web Cryptography API as a global.
has_node() { has npm && has node && [ "$(node -p 'process.versions.node.split(".")[0] >= 20')" = true ]; }

missing=''
has radclient || missing="$missing freeradius-utils"
has haproxy || missing="$missing haproxy"
has curl || missing="$missing curl"
has_node || missing="$missing nodejs npm"

if [ -n "$missing" ]; then
  as_root=''
  if [ "$(id -u)" -ne 0 ]; then
    as_root='sudo -n'
    if ! has sudo || ! sudo -n true 2>/dev/null; then
      echo "make interop needs these Debian packages, and no way to become root was found:$missing" >&2
      exit 1
    fi
  fi
  if ! has apt-get; then
    echo "make interop needs what these Debian packages bring, and there is no apt-get to install them:$missing" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  $as_root apt-get update -qq
  # shellcheck disable=SC2086 # one word for each package
  if ! $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null; then
    echo "make interop needs these Debian packages, and apt-get could not install them:$missing" >&2
    exit 1
  fi
fi

if ! has_node; then
  echo "make interop needs Node.js 20 or later with npm; the distribution brings $(node --version 2>/dev/null || echo none)" >&2
  exit 1
fi

# What was installed from this very lock file need not be installed again.
if ! cmp -s node/package-lock.json node/node_modules/.installed-from; then
  npm ci --prefix node --silent --no-audit --no-fund || {
    echo "make interop needs the npm packages of tests/interop/node/package-lock.json, and npm could not install them" >&2
    exit 1
  }
  cp node/package-lock.json node/node_modules/.installed-from
fi
