recipe_varnish() { # with a compiler, because Varnish compiles its configuration, and with varnish-modules
  cat >docker-varnish-entrypoint <<'E'
#!/bin/sh
set -e
if [ "$#" -eq 0 ] || [ "${1#-}" != "$1" ]; then
  set -- varnishd -F -f /etc/varnish/default.vcl -a http=:80,HTTP -s "malloc,$VARNISH_SIZE" "$@"
fi
exec "$@"
E
  chmod 755 docker-varnish-entrypoint
  cat >Dockerfile <<E
FROM $BASE
RUN groupadd -r -g 1000 varnish && useradd -r -g varnish -u 1000 -d /nonexistent varnish \\
 && $APT varnish varnish-modules && $CLEAN \\
 && install -d -o varnish -g varnish /var/lib/varnish
COPY docker-varnish-entrypoint /usr/local/bin/
ENV VARNISH_SIZE=100M
WORKDIR /etc/varnish
USER varnish
EXPOSE 80
ENTRYPOINT ["/usr/local/bin/docker-varnish-entrypoint"]
CMD []
E
}
