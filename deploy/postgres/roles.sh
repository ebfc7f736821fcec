#!/bin/sh
# Runs once, when the primary's data directory is new: the service's role, which owns its databases and nothing else,
# and the exporter's, which may look.
set -eu

psql -v ON_ERROR_STOP=1 -v service="$SERVICE_PASSWORD" -v metrics="$METRICS_PASSWORD" \
  --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE flightdeck LOGIN CREATEDB PASSWORD :'service';
CREATE ROLE metrics LOGIN PASSWORD :'metrics';
GRANT pg_monitor TO metrics;
CREATE DATABASE flightdeck OWNER flightdeck;
SQL
