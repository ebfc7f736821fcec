go_image() { # packages binary=link... ; the rest of the Dockerfile on stdin
  local pkgs=$1 links=''; shift
  for l in "$@"; do links+=" && ln -sf /usr/bin/${l%%=*} ${l#*=}"; done
  cat >Dockerfile <<X
FROM $BASE
RUN $FORKY \\
 && $APT busybox $pkgs && $CLEAN \\
 && $BB \\
 && (getent group nobody >/dev/null || groupadd -o -g 65534 nobody)$links
X
  cat >>Dockerfile
}
recipe_prometheus() {
  go_image 'prometheus/forky promtool/forky' <<'X'
# Debian's default paths, for a command: that leaves --storage.tsdb.path out
RUN rm -rf /var/lib/prometheus && mkdir -p /prometheus /var/lib/prometheus \
 && ln -s /prometheus /var/lib/prometheus/metrics2 && ln -s /prometheus /var/lib/prometheus/data-agent \
 && chown -R nobody:nogroup /etc/prometheus /prometheus
USER nobody
EXPOSE 9090
VOLUME /prometheus
WORKDIR /prometheus
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
X
}
recipe_alertmanager() {
  go_image prometheus-alertmanager/forky prometheus-alertmanager=/bin/alertmanager <<'X'
RUN rm -rf /var/lib/prometheus && mkdir -p /alertmanager /etc/alertmanager /var/lib/prometheus \
 && ln -s /alertmanager /var/lib/prometheus/alertmanager && if [ -f /etc/prometheus/alertmanager.yml ]; then cp /etc/prometheus/alertmanager.yml /etc/alertmanager/; fi \
 && chown -R nobody:nogroup /etc/alertmanager /alertmanager
USER nobody
EXPOSE 9093
VOLUME /alertmanager
WORKDIR /alertmanager
ENTRYPOINT ["/bin/alertmanager"]
CMD ["--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"]
X
}
recipe_node_exporter() { go_image prometheus-node-exporter/forky prometheus-node-exporter=/bin/node_exporter <<'X'
USER nobody
EXPOSE 9100
ENTRYPOINT ["/bin/node_exporter"]
X
}
recipe_postgres_exporter() { go_image prometheus-postgres-exporter/forky prometheus-postgres-exporter=/bin/postgres_exporter <<'X'
USER nobody
EXPOSE 9187
ENTRYPOINT ["/bin/postgres_exporter"]
X
}
recipe_redis_exporter() { go_image prometheus-redis-exporter/forky prometheus-redis-exporter=/redis_exporter <<'X'
USER 59000:59000
EXPOSE 9121
ENTRYPOINT ["/redis_exporter"]
X
}
