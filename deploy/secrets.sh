#!/bin/sh
# Generates every password, token and key of the stack, and the URLs that contain one. Existing ones are kept, because
# the databases were created with them. GRAFANA_PASSWORD, BUGSINK_PASSWORD and WRITE_TOKEN set theirs.
set -eu
umask 0222 # read-only for all, because each container runs as another user
cd "${SECRETS_DIR:-/run/flightdeck}"

random() { # BYTES, in hexadecimal digits
  od -An -v -N"$1" -tx1 /dev/urandom | tr -d ' \n'
}

secret() { # NAME, VALUE
  [ -s "$1" ] && return
  : "${2:?the value of $1 could not be generated}"
  rm -f "$1.new" # of an interrupted run: it cannot be overwritten
  printf '%s' "$2" > "$1.new"
  mv -f "$1.new" "$1"
}

secret postgres_password "$(random 24)"
secret service_password "$(random 24)"
secret metrics_password "$(random 24)"
secret replication_password "$(random 24)"
secret rabbitmq_password "$(random 24)"
secret write_token "${WRITE_TOKEN:-$(random 24)}"
secret grafana_password "${GRAFANA_PASSWORD:-$(random 12)}"
secret bugsink_password "${BUGSINK_PASSWORD:-$(random 12)}"
secret bugsink_secret_key "$(random 40)"
secret bugsink_project_key "$(random 16)"

secret database_url "postgresql://flightdeck:$(cat service_password)@postgres:5432/flightdeck"
secret database_replica_url "postgresql://flightdeck:$(cat service_password)@replica:5432/flightdeck"
secret celery_broker_url "amqp://flightdeck:$(cat rabbitmq_password)@rabbitmq:5672//"
secret bugsink_superuser "admin@flightdeck.example:$(cat bugsink_password)"
secret sentry_dsn "http://$(cat bugsink_project_key)@bugsink:8000/1"
