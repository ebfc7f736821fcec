#!/bin/sh
# Creates the service's role, which owns its databases and nothing else, and the exporter's, which can read statistics;
# runs once, for a new data directory.
set -eu

psql -v ON_ERROR_STOP=1 -v service="$SERVICE_PASSWORD" -v metrics="$METRICS_PASSWORD" \
  --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE flightdeck LOGIN CREATEDB PASSWORD :'service';
CREATE ROLE metrics LOGIN PASSWORD :'metrics';
GRANT pg_monitor TO metrics;
CREATE DATABASE flightdeck OWNER flightdeck;
SQL
