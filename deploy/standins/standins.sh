#!/usr/bin/env bash
# Builds stand-ins for the official images of a docker-compose.yml from Debian and PyPI packages and Go modules, for
# machines that cannot reach an image registry.
#
#   standins.sh IMAGE[:TAG] ...      build and tag these images
#   standins.sh --compose FILE ...   build and tag every image that the file's services (image:) and its Dockerfiles
#                                    (FROM) use
#   standins.sh --list               list the recipes
#
# Idempotent: an image is rebuilt only when its recipe or the base changed (FORCE=1 rebuilds always). Every stand-in has
# the label standin.recipe: `docker images --filter label=standin.recipe` lists them, and a real image of the same name
# is never replaced.
#
# Environment: JOBS (parallel builds, 2), FORCE, NICE (19), DOCKER (docker),
# MIRROR (a Debian mirror; default: that of apt), CACHE (/var/cache/standins: packages of the base image).
set -euo pipefail

DOCKER=${DOCKER:-docker}
# the mirror in this machine's apt sources
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -m1 -E '/debian/?$' || true)}
MIRROR=${MIRROR%/}
CACHE=${CACHE:-/var/cache/standins}
JOBS=${JOBS:-2}
NICE=${NICE:-19}
SUITE=trixie
SELF=$(readlink -f "$0")
BASE=debian:trixie-slim

say() { printf '%s standins: %s\n' "$(date +%T)" "$*" >&2; }
die() { say "$*"; exit 1; }

# ---- which recipe makes which repository -----------------------------------
recipe_of() { # repository[:tag] -> recipe, or nothing
  local repo=${1%@*}; repo=${repo%:*}
  case $repo in
    debian|library/debian) echo debian ;;
    python|library/python) echo python ;;
    postgres|library/postgres) echo postgres ;;
    redis|library/redis) echo redis ;;
    rabbitmq|library/rabbitmq) echo rabbitmq ;;
    varnish|library/varnish) echo varnish ;;
    bugsink/bugsink) echo bugsink ;;
    otel/opentelemetry-collector-contrib) echo collector ;;
    prom/prometheus) echo prometheus ;;
    prom/alertmanager) echo alertmanager ;;
    prom/node-exporter) echo node_exporter ;;
    prometheuscommunity/postgres-exporter) echo postgres_exporter ;;
    oliver006/redis_exporter) echo redis_exporter ;;
  esac
}

# ---- the base: debootstrap -> docker import --------------------------------
# minbase, ca-certificates and this machine's own CA certificates, so that HTTPS works inside `docker build` and
# `docker run` as it does outside.
base_key() { { echo v4 $SUITE "$MIRROR"; cat /usr/local/share/ca-certificates/*.crt 2>/dev/null
  apt-config dump Acquire::Check-Valid-Until Acquire::Check-Date Acquire::http::Proxy; } | sha256sum | cut -c1-16; }

build_base() {
  local key; key=$(base_key)
  if [[ -z ${FORCE:-} && $(label $BASE standin.key) == "$key" ]]; then say "$BASE: up to date"; return; fi
  guard $BASE
  command -v debootstrap >/dev/null || die "debootstrap is needed: apt-get install debootstrap"
  local t0=$SECONDS root; root=$(mktemp -d "${TMPDIR:-/tmp}/standin-base.XXXXXX")
  mkdir -p "$CACHE/debs"
  nice -n "$NICE" debootstrap --variant=minbase --include=ca-certificates \
    --cache-dir="$CACHE/debs" $SUITE "$root" "$MIRROR" >"$CACHE/debootstrap.log" 2>&1 \
    || { tail -5 "$CACHE/debootstrap.log" >&2; rm -rf "$root"; die "debootstrap failed (log: $CACHE/debootstrap.log)"; }
  # as Debian's own -slim images do
  cat >"$root/etc/dpkg/dpkg.cfg.d/docker-slim" <<'X'
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/locale/*
path-include=/usr/share/locale/locale.alias
path-exclude=/usr/share/man/*
X
  cat >"$root/etc/apt/apt.conf.d/docker-clean" <<'X'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
Acquire::Retries "3";
APT::AutoRemove::SuggestsImportant "false";
X
  # a mirror can lag behind its validity dates: copy this machine's apt settings
  apt-config dump 2>/dev/null | grep -E '^Acquire::(Check-Valid-Until|Check-Date|http::Proxy|https::Proxy) ' >"$root/etc/apt/apt.conf.d/host-settings" || true
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"; chmod 755 "$root/usr/sbin/policy-rc.d"
  printf 'deb %s %s main\ndeb %s %s-updates main\ndeb %s-security %s-security main\n' \
    "$MIRROR" $SUITE "$MIRROR" $SUITE "$MIRROR" $SUITE >"$root/etc/apt/sources.list"
  find "$root/usr/share/"{doc,info,lintian,man} -mindepth 1 -delete 2>/dev/null || true
  find "$root/usr/share/locale" -mindepth 1 ! -name locale.alias -delete 2>/dev/null || true
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/debootstrap "$root"/var/log/*.log
  # this machine's own CA certificates, if any
  if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" update-ca-certificates >/dev/null || die 'update-ca-certificates failed'
  fi
  printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\ndisable-pip-version-check = true\n' >"$root/etc/pip.conf"
  rm -f "$root/etc/resolv.conf" "$root/etc/hostname"
  tar -C "$root" --numeric-owner -c . | nice -n "$NICE" "$DOCKER" import \
    -c 'CMD ["bash"]' \
    -c 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
    -c 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' \
    -c "LABEL standin.recipe=debian standin.key=$key" - $BASE >/dev/null
  rm -rf "$root"
  say "$BASE: built in $((SECONDS - t0)) s"
}

# ---- recipes: each writes its Dockerfile and files to the current directory --
APT='apt-get update && apt-get install -y --no-install-recommends'
CLEAN='rm -rf /var/lib/apt/lists/*'
# Go programs from testing (newer than trixie's), their dependencies from trixie.
FORKY="printf 'deb $MIRROR forky main\n' >/etc/apt/sources.list.d/forky.list \
&& printf 'Package: *\nPin: release n=forky\nPin-Priority: 100\n' >/etc/apt/preferences.d/forky"
# busybox applets of the official images that health checks use
BB='for a in wget nc vi ping; do command -v $a >/dev/null || ln -s /usr/bin/busybox /usr/bin/$a; done'

for recipe in "$(dirname "$SELF")"/recipes/*.sh; do . "$recipe"; done

# ---- building ----------------------------------------------------------------
label() { "$DOCKER" image inspect -f "{{index .Config.Labels \"$2\"}}" "$1" 2>/dev/null || true; }
guard() { # never replace an image that is not a stand-in
  if "$DOCKER" image inspect "$1" >/dev/null 2>&1 && [[ -z $(label "$1" standin.recipe) ]]; then
    die "$1 exists and is not a stand-in: not replaced"; fi; }
ensure() { FORCE='' "$SELF" --recipe "$(recipe_of "$1")"; "$DOCKER" image inspect "$1" >/dev/null 2>&1 || "$DOCKER" tag "standin/$(recipe_of "$1")" "$1"; }

build_recipe() { # recipe -> image standin/<recipe>
  local r=$1 dir key t0=$SECONDS
  if [[ $r == debian ]]; then "$DOCKER" tag $BASE standin/debian; return; fi
  dir=$(mktemp -d "${TMPDIR:-/tmp}/standin-$r.XXXXXX")
  ( cd "$dir"; "recipe_$r" )
  key=$( { "$DOCKER" image inspect -f '{{.Id}}' $BASE; (cd "$dir" && cat $(ls)); } | sha256sum | cut -c1-16)
  if [[ -z ${FORCE:-} && $(label "standin/$r" standin.key) == "$key" ]]; then
    say "$r: up to date"; rm -rf "$dir"; return; fi
  if ! DOCKER_BUILDKIT=0 nice -n "$NICE" "$DOCKER" build -q --force-rm --pull=false ${FORCE:+--no-cache} -t "standin/$r" \
       --label "standin.recipe=$r" --label "standin.key=$key" "$dir" >"$dir/log" 2>&1; then
    tail -30 "$dir/log" >&2; die "$r: build failed (context kept: $dir)"; fi
  rm -rf "$dir"
  say "$r: built in $((SECONDS - t0)) s, $("$DOCKER" image inspect -f '{{.Size}}' "standin/$r" | awk '{printf "%.0f MB", $1/1e6}')"
}

images_of_compose() { # image: of the services, FROM and COPY --from of the Dockerfiles below the file's directory
  local f d
  for f; do
    "$DOCKER" compose -f "$f" --profile '*' config --images 2>/dev/null ||
      sed -nE "s/^[[:space:]]*image:[[:space:]]*[\"']?([^\"'#[:space:]]+).*/\1/p" "$f" | sed -E 's/\$\{[A-Za-z_]+:-([^}]*)\}/\1/g'
    d=$(dirname "$f")
    find "$d" -maxdepth 3 -name node_modules -prune -o \( -name Dockerfile -o -name '*.Dockerfile' -o -name 'Dockerfile.*' \) -exec \
      sed -nE 's/^[[:space:]]*FROM[[:space:]]+(--[^ ]+[[:space:]]+)?([^[:space:]]+).*/\2/Ip; s/^[[:space:]]*COPY[[:space:]]+.*--from=([^[:space:]]+[:\/][^[:space:]]+).*/\1/Ip' {} +
  done | sort -u
}

main() {
  local wanted=() img r recipes=()
  case ${1:-} in
    --recipe) build_recipe "$2"; return ;;
    --list) declare -F | awk '$3 ~ /^recipe_/ && $3 != "recipe_of" {sub("recipe_", "", $3); print $3}'; return ;;
    --compose) shift; mapfile -t wanted < <(images_of_compose "$@") ;;
    -h|--help) sed -n '2,15p' "$SELF"; return ;;
    '') sed -n '2,15p' "$SELF"; return 2 ;;
    *) wanted=("$@") ;;
  esac
  [[ $MIRROR ]] || die "no Debian mirror found in apt's sources: set MIRROR"
  "$DOCKER" version -f '{{.Server.Version}}' >/dev/null 2>&1 || die 'no Docker engine responds'
  mkdir -p "$CACHE"
  build_base
  local known=()
  for img in "${wanted[@]}"; do
    r=$(recipe_of "$img")
    if [[ -z $r ]]; then [[ $img == */* ]] && say "$img: no recipe: skipped"; continue; fi
    [[ $img == *:* ]] || img=$img:latest
    guard "$img"; known+=("$img"); recipes+=("$r")
  done
  # python first: other recipes build on it
  mapfile -t recipes < <(printf '%s\n' "${recipes[@]}" | awk '!s[$0]++')
  for r in "${recipes[@]}"; do [[ $r == python || $r == bugsink ]] && { "$SELF" --recipe python; break; }; done
  printf '%s\n' "${recipes[@]}" | grep -vx python | xargs -r -P "$JOBS" -n 1 "$SELF" --recipe || die 'some builds failed'
  for img in "${known[@]}"; do
    r=$(recipe_of "$img")
    [[ $img == "$BASE" ]] || "$DOCKER" tag "standin/$r" "$img"
  done
  "$DOCKER" image prune -f --filter label=standin.recipe >/dev/null   # untagged images of earlier builds
  say "ready: ${known[*]}"
}
main "$@"
