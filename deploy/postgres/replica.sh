#!/bin/sh
# The replica's command: copy the primary once, then follow it. Arguments go to the server.
set -eu

if [ ! -d "$PGDATA" ]; then
  # A copy that is interrupted never gets the name that counts.
  partial="$PGDATA.partial"
  export PGPASSWORD="$REPLICATION_PASSWORD"
  until rm -rf "$partial" && pg_basebackup --pgdata "$partial" --write-recovery-conf --wal-method stream \
    --checkpoint fast --slot replica \
    --dbname "host=$PRIMARY_HOST port=${PRIMARY_PORT:-5432} user=replicator application_name=replica"; do
    echo 'the primary is not ready for a copy; trying again' >&2
    sleep 1
  done
  chmod 0700 "$partial"
  mv "$partial" "$PGDATA"
fi
# Queries on the replica are not cancelled because the primary removed rows that they still read.
exec postgres -c hot_standby_feedback=on "$@"
