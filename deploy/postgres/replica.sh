#!/bin/sh
# Starts the replica, from a base backup of the primary if it has no data. Arguments go to the server.
set -eu

if [ ! -d "$PGDATA" ]; then
  # An interrupted backup is never used: only a complete one is renamed to PGDATA.
  partial="$PGDATA.partial"
  export PGPASSWORD="$REPLICATION_PASSWORD"
  until rm -rf "$partial" && pg_basebackup --pgdata "$partial" --write-recovery-conf --wal-method stream \
    --checkpoint fast --slot replica \
    --dbname "host=$PRIMARY_HOST port=${PRIMARY_PORT:-5432} user=replicator application_name=replica"; do
    echo 'base backup failed: is the primary ready? Trying again' >&2
    sleep 1
  done
  chmod 0700 "$partial"
  mv "$partial" "$PGDATA"
fi
# Keeps rows on the primary that queries on the replica still read, so that these are not cancelled.
exec postgres -c hot_standby_feedback=on "$@"
