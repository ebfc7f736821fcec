recipe_redis() {
  cat >docker-entrypoint.sh <<'X'
#!/bin/sh
set -e
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then set -- redis-server "$@"; fi
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
  find . \! -user redis -exec chown redis '{}' + 2>/dev/null || :
  exec setpriv --reuid=redis --regid=redis --init-groups "$0" "$@"
fi
# the official build has protected mode off
case "$*" in redis-server*protected-mode*|*--sentinel*) ;; redis-server*) set -- "$@" --protected-mode no ;; esac
[ "$(umask)" = 0022 ] && umask 0077
exec "$@"
X
  chmod 755 docker-entrypoint.sh
  cat >Dockerfile <<X
FROM $BASE
RUN groupadd -r -g 999 redis && useradd -r -g redis -u 999 redis \\
 && $APT redis-server tzdata && $CLEAN && rm -f /etc/redis/redis.conf && install -d -o redis -g redis /data
COPY docker-entrypoint.sh /usr/local/bin/
VOLUME /data
WORKDIR /data
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 6379
CMD ["redis-server"]
X
}
