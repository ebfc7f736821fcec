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
exec "$@"
