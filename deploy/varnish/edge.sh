#!/bin/sh
# Runs Varnish in front of every replica in DNS, which is queried every two seconds.
#
#   edge.sh HOST PORT     the service's name, and the port of each of its replicas
#
# When the replicas change, a new VCL with other backends is loaded; the cache is kept.
set -eu
host=$1 port=$2

run=/tmp/edge
backends=$run/backend.vcl
mkdir -p "$run"

addresses() {
  getent ahostsv4 "$host" | awk '$2 == "STREAM" { print $1 }' | sort -u | tr '\n' ' '
}

backend_vcl() { # ADDRESS...
  echo 'import directors;'
  for address in "$@"; do
    printf 'backend replica_%s {\n    .host = "%s";\n    .port = "%s";\n' "$(echo "$address" | tr . _)" "$address" "$port"
    echo '    .probe = service_is_alive;'
    echo '    .connect_timeout = 1s;'
    echo '    .first_byte_timeout = 15s;'
    echo '    .between_bytes_timeout = 15s;'
    echo '}'
  done
  echo 'sub vcl_init {'
  echo '    new replicas = directors.round_robin();'
  for address in "$@"; do
    printf '    replicas.add_backend(replica_%s);\n' "$(echo "$address" | tr . _)"
  done
  echo '}'
  echo 'sub vcl_recv {'
  echo '    set req.backend_hint = replicas.backend();'
  echo '}'
}

publish_counters() { # FILE: replaces it with a complete one, or leaves it
  rm -f "$1.new"
  counters > "$1.new" 2> /dev/null && [ -s "$1.new" ] && mv -f "$1.new" "$1"
}

counters() { # of Varnish, in the Prometheus text format
  varnishstat -1 -n "$run/varnish" -f 'MAIN.*' | awk '{
    name = tolower($1); sub(/^main\./, "", name)
    if (name ~ /^[a-z0-9_]+$/) printf "varnish_main_%s %s\n", name, $2
  }'
}

found=$(addresses)
until [ -n "$found" ]; do
  echo "$host has no address yet" >&2
  sleep 1
  found=$(addresses)
done
# shellcheck disable=SC2086 one word for each address
backend_vcl $found > "$backends"
echo "replicas: $found" >&2

# The service compresses, with better codings than gzip; the edge only caches the variants.
varnishd -F -n "$run/varnish" -a :8080 -f /etc/varnish/default.vcl -s "malloc,${EDGE_CACHE_SIZE:-48m}" \
  -p http_gzip_support=off -p vcl_path="$run:/etc/varnish" -p vsl_space=4M &
varnishd=$!
trap 'kill -TERM "$varnishd"' TERM INT

count=0
while kill -0 "$varnishd" 2> /dev/null; do
  # A signal interrupts `wait`, but not `sleep`.
  sleep 2 &
  wait $! || true
  if [ -d "${METRICS_DIR:-}" ]; then
    publish_counters "$METRICS_DIR/varnish.prom" || true
  fi
  now=$(addresses)
  if [ -n "$now" ] && [ "$now" != "$found" ]; then
    count=$((count + 1))
    # shellcheck disable=SC2086 one word for each address
    backend_vcl $now > "$backends"
    if varnishadm -n "$run/varnish" vcl.load "replicas$count" /etc/varnish/default.vcl \
      && varnishadm -n "$run/varnish" vcl.use "replicas$count"; then
      echo "replicas: $now" >&2
      found=$now
    fi
  fi
done
wait "$varnishd"
