recipe_postgres() {
  cat >docker-entrypoint.sh <<'X'
#!/usr/bin/env bash
# The documented interface of the official image: POSTGRES_{USER,PASSWORD,DB,INITDB_ARGS,
# HOST_AUTH_METHOD}, the _FILE forms, /docker-entrypoint-initdb.d, PGDATA.
set -Eeo pipefail
shopt -s nullglob
file_env() { local v=$1 f="$1_FILE" d=${2:-}
  if [ -n "${!v:-}" ] && [ -n "${!f:-}" ]; then echo >&2 "error: both $v and $f are set"; exit 1; fi
  if [ -n "${!f:-}" ]; then export "$v=$(<"${!f}")"; elif [ -z "${!v:-}" ]; then export "$v=$d"; fi; unset "$f"; }
[ "${1:0:1}" = - ] && set -- postgres "$@"
[ "$1" = postgres ] || exec "$@"
for a in "$@"; do case $a in -'?'|--help|-V|--version|--describe-config) exec "$@";; esac; done
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /var/run/postgresql; chmod 700 "$PGDATA" || :; chmod 3775 /var/run/postgresql || :
  find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
  exec gosu postgres "$BASH_SOURCE" "$@"
fi
file_env POSTGRES_PASSWORD; file_env POSTGRES_USER postgres; file_env POSTGRES_DB "$POSTGRES_USER"
file_env POSTGRES_INITDB_ARGS; : "${POSTGRES_HOST_AUTH_METHOD:=}"
if [ -s "$PGDATA/PG_VERSION" ]; then
  echo; echo 'PostgreSQL Database directory appears to contain a database; Skipping initialization'; echo
else
  if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
    echo >&2 'Error: Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the superuser.'; exit 1; fi
  eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") '"$POSTGRES_INITDB_ARGS"' -D "$PGDATA"'
  m=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption 2>/dev/null || echo scram-sha-256)}
  printf '\nhost all all all %s\n' "$m" >>"$PGDATA/pg_hba.conf"
  export PGPASSWORD=$POSTGRES_PASSWORD
  PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p ${PGPORT:-5432}" -w start
  sql=(psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc --username "$POSTGRES_USER")
  docker_process_sql() { "${sql[@]}" --dbname "$POSTGRES_DB" "$@"; }
  [ "$POSTGRES_DB" = postgres ] || "${sql[@]}" --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
  for f in /docker-entrypoint-initdb.d/*; do case $f in
    *.sh) if [ -x "$f" ]; then echo "$0: running $f"; "$f"; else echo "$0: sourcing $f"; . "$f"; fi ;;
    *.sql) echo "$0: running $f"; docker_process_sql -f "$f" ;;
    *.sql.gz) echo "$0: running $f"; gunzip -c "$f" | docker_process_sql ;;
    *.sql.zst) echo "$0: running $f"; zstd -dc "$f" | docker_process_sql ;;
    *) echo "$0: ignoring $f" ;; esac; echo; done
  PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -m fast -w stop
  unset PGPASSWORD
  echo; echo 'PostgreSQL init process complete; ready for start up.'; echo
fi
exec "$@"
X
  printf '#!/bin/sh\nu=$1; shift; exec setpriv --reuid="$u" --regid="$u" --init-groups "$@"\n' >gosu
  chmod 755 docker-entrypoint.sh gosu
  cat >Dockerfile <<X
FROM $BASE
RUN groupadd -r postgres --gid=999 && useradd -r -g postgres --uid=999 --home-dir=/var/lib/postgresql --shell=/bin/bash postgres \\
 && install -d -m 1777 -o postgres -g postgres /var/lib/postgresql
RUN mkdir -p /etc/postgresql-common /docker-entrypoint-initdb.d \\
 && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf \\
 && $APT postgresql-17 locales xz-utils zstd \\
 && localedef -i en_US -c -f UTF-8 -A /usr/share/locale/locale.alias en_US.UTF-8 \\
 && $CLEAN \\
 && sed -ri "s!^#?(listen_addresses)\s*=\s*\S+.*!\1 = '*'!" /usr/share/postgresql/17/postgresql.conf.sample \\
 && install -d -m 3777 -o postgres -g postgres /var/run/postgresql \\
 && install -d -m 1777 -o postgres -g postgres /var/lib/postgresql/data
COPY docker-entrypoint.sh gosu /usr/local/bin/
ENV LANG=en_US.utf8 PG_MAJOR=17 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/17/bin PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
EXPOSE 5432
CMD ["postgres"]
X
}
