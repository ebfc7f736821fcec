#!/bin/sh
# Runs a command with secrets that come as files: NAME_FILE=/run/flightdeck/… names the file whose content becomes NAME.
# Other variables that end so, such as SSL_CERT_FILE, are none of its business.
set -eu
place=${SECRETS_DIR:-/run/flightdeck}

for name in $(env | sed -n "s|^\([A-Z][A-Z0-9_]*\)_FILE=$place/.*|\1|p"); do
  eval "file=\$${name}_FILE"
  if [ ! -r "$file" ]; then
    echo "${name}_FILE names $file, which cannot be read" >&2
    exit 1
  fi
  export "$name=$(cat "$file")"
  unset "${name}_FILE"
done
exec "$@"
