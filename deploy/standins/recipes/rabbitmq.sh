recipe_rabbitmq() { # RABBITMQ_DEFAULT_{USER,PASS,VHOST} are read by the server itself
  cat >docker-entrypoint.sh <<'X'
#!/bin/bash
set -euo pipefail
if [[ "$1" == rabbitmq* ]] && [ "$(id -u)" = 0 ]; then
  if [ "$1" = rabbitmq-server ]; then find /var/lib/rabbitmq \! -user rabbitmq -exec chown rabbitmq '{}' +; fi
  exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups "$BASH_SOURCE" "$@"
fi
# before a health check as root creates one that the server cannot read
c=/var/lib/rabbitmq/.erlang.cookie
if [ "$1" = rabbitmq-server ] && { [ -n "${RABBITMQ_ERLANG_COOKIE:-}" ] || [ ! -e $c ]; }; then
  umask 077; printf %s "${RABBITMQ_ERLANG_COOKIE:-$(tr -dc A-Z </dev/urandom | head -c 20)}" >$c; umask 022
fi
exec "$@"
X
  chmod 755 docker-entrypoint.sh
  cat >Dockerfile <<X
FROM $BASE
RUN groupadd -g 999 -r rabbitmq && useradd -u 999 -r -d /var/lib/rabbitmq -g rabbitmq rabbitmq \\
 && $APT rabbitmq-server && $CLEAN \\
 && rm -f /etc/rabbitmq/rabbitmq-env.conf /var/lib/rabbitmq/.erlang.cookie && mkdir -p /etc/rabbitmq/conf.d \\
 && printf 'loopback_users.guest = false\nlog.console = true\n' >/etc/rabbitmq/conf.d/10-defaults.conf \\
 && printf 'management_agent.disable_metrics_collector = false\n' >/etc/rabbitmq/conf.d/20-management_agent.disable_metrics_collector.conf \\
 && printf '[rabbitmq_management,rabbitmq_prometheus].\n' >/etc/rabbitmq/enabled_plugins \\
 && chown -R rabbitmq:rabbitmq /etc/rabbitmq /var/lib/rabbitmq /var/log/rabbitmq && chmod 777 /etc/rabbitmq /var/lib/rabbitmq
COPY docker-entrypoint.sh /usr/local/bin/
ENV PATH=/usr/lib/rabbitmq/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/var/lib/rabbitmq \\
    RABBITMQ_DATA_DIR=/var/lib/rabbitmq RABBITMQ_LOGS=- LANG=C.UTF-8
VOLUME /var/lib/rabbitmq
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 4369 5671 5672 15671 15672 15691 15692 25672
CMD ["rabbitmq-server"]
X
}
