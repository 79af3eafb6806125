#!/usr/bin/env bash
# Installs what Argosy needs: Debian packages, and in .venv exactly the Python packages of a lock file (deploy/locks).
# Idempotent, and quiet when there is nothing to do. Usage: deploy/setup.sh [--test]
#   --test   also the packages for tests (deploy/packages-test.txt), which a host does not need
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin      # a plain `su` leaves these out, and dpkg cannot do without

case "${1:-}" in
    "") lists=(deploy/packages.txt); lock=deploy/locks/product.txt ;;
    --test) lists=(deploy/packages.txt deploy/packages-test.txt); lock=deploy/locks/test.txt ;;
    *) echo "usage: deploy/setup.sh [--test]" >&2; exit 2 ;;
esac
command -v apt-get dpkg-query >/dev/null ||
    { echo "setup: this is not Debian (no apt-get); install by hand what ${lists[*]} name" >&2; exit 1; }

missing=()
while read -r package _; do
    [[ -z "$package" || "$package" == \#* ]] && continue
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done < <(cat "${lists[@]}")

if ((${#missing[@]})); then
    [[ $EUID -eq 0 ]] || { echo "setup: run me as root: these Debian packages are missing: ${missing[*]}" >&2; exit 1; }
    echo "setup: installing Debian packages: ${missing[*]}"
    # Prevents packages from starting their services (etcd, docker-registry): managers supervise their own.
    policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 ||
        { tail -20 "$log" >&2; echo "setup: apt-get failed; see above" >&2; exit 1; }
    rm -f "$log"
    # The same for the next boot, if this script installed them.
    for service in etcd:etcd-server docker-registry:docker-registry; do
        if [[ " ${missing[*]} " == *" ${service#*:} "* ]] && command -v systemctl >/dev/null; then
            systemctl disable --quiet "${service%:*}.service" || true
        fi
    done
fi

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "setup: Python 3.11 or newer is needed; $python is $("$python" -V 2>&1)" >&2; exit 1; }
# Installs exactly the lock file, with checked hashes, and again only when it has changed.
stamp=.venv/.installed-$(basename "$lock" .txt)-$(cat "$lock" pyproject.toml | sha256sum | cut -c1-16)
if [[ ! -e $stamp ]]; then
    # Without pip, its creation was interrupted.
    .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
    rm -f .venv/.installed-*
    echo "setup: installing Python packages into .venv"
    pip() { .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps "$@"; }
    pip --require-hashes --only-binary :all: -r "$lock"
    # "compat": a plain path instead of an import hook, which would double the running time of each command.
    pip --no-build-isolation --config-settings editable_mode=compat -e .
    touch "$stamp"
fi
