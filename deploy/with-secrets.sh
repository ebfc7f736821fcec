#!/bin/sh
# Runs a command with secrets from files: NAME_FILE=/run/flightdeck/… sets NAME to the content of that file.
# Variables with other paths, such as SSL_CERT_FILE, are left unchanged.
set -eu
directory=${SECRETS_DIR:-/run/flightdeck}

for name in $(env | sed -n "s|^\([A-Z][A-Z0-9_]*\)_FILE=$directory/.*|\1|p"); do
  eval "file=\$${name}_FILE"
  if [ ! -r "$file" ]; then
    echo "${name}_FILE names $file, which cannot be read" >&2
    exit 1
  fi
  export "$name=$(cat "$file")"
  unset "${name}_FILE"
done

# With a distance, the service `distance` is between an arm and its servers.
if [ "${DISTANCE_MS:-0}" != 0 ]; then
  for name in DATABASE_URL DATABASE_REPLICA_URL REDIS_URL WEATHER_URL; do
    eval "url=\${$name-}"
    [ -z "$url" ] || export "$name=$(printf %s "$url" | sed -E -e "s,([/@])replica:5432,\1distance:5433," -e "s,([/@])(postgres|redis|upstream):,\1distance:,")"
  done
fi
exec "$@"
