#!/usr/bin/env bash
# Sets everything up on a fresh Debian and shows a stack of real containers on a lab of three hosts.
#   deploy/quickstart.sh          sets up; can be run again
#   deploy/quickstart.sh --down   removes everything again
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin      # a plain `su` leaves these out

lab=lab
stack=demo
argosy=.venv/bin/argosy
SECONDS=0
say() { printf '\n== %s  [%d s]\n' "$*" "$SECONDS"; }

case "${1:-}" in
    "") ;;
    --down)
        if [[ ! -x $argosy ]]; then echo "quickstart: nothing was set up here"; exit 0; fi
        exec "$argosy" lab down --name "$lab" ;;
    *) echo "usage: deploy/quickstart.sh [--down]" >&2; exit 2 ;;
esac
[[ $EUID -eq 0 ]] || { echo "quickstart: run me as root: hosts are made of namespaces" >&2; exit 1; }

say "Installing what Argosy needs (Debian packages, .venv)"
deploy/setup.sh

say "Checking this machine"
$argosy check

say "Building the demo's image from Debian packages"
.venv/bin/python -m deploy.demo.image build/argosy-demo.tar
echo "  build/argosy-demo.tar: $(du -h build/argosy-demo.tar | cut -f1)"

say "Starting a lab: one manager and two workers"
if $argosy lab ls --name "$lab" 2>/dev/null | awk 'NR > 1 && $4 != "running" { bad = 1 } END { exit bad || NR < 4 }'; then
    echo "  it is up already"
else
    $argosy lab down --name "$lab" 2>/dev/null || true
    $argosy lab up --name "$lab" -- --docker-socket /var/run/docker.sock
fi
$argosy lab ls --name "$lab"
DOCKER_HOST=$($argosy lab socket m1 --name "$lab")
export DOCKER_HOST

say "Loading the image into m1 (the other hosts fetch it from there)"
$argosy image load -i build/argosy-demo.tar

say "Deploying deploy/demo/compose.yml as stack '$stack'"
$argosy stack deploy -c deploy/demo/compose.yml "$stack"
$argosy node ls
$argosy stack ps "$stack"

say "Visiting the page through every host"
.venv/bin/python -m deploy.demo.visit "$lab" "$stack"

cat <<EOF

== Done in $SECONDS s. Look around:
  export DOCKER_HOST=$DOCKER_HOST
  export PATH=$PWD/.venv/bin:\$PATH
  argosy service ls                          # or: docker service ls
  argosy service logs ${stack}_web
  argosy service scale ${stack}_web=6
  argosy lab kill w1; argosy stack ps $stack     # its tasks start elsewhere
  curl http://$($argosy lab address m1 --name "$lab"):8080/
Take it down:
  ./deploy/quickstart.sh --down
EOF
