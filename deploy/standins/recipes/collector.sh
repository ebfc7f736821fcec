recipe_collector() {
  # With the components of deploy/tools/collector.yaml only.
  cp "$("$(dirname "$SELF")/../tools/collector.sh")" otelcol-contrib
  cat >Dockerfile <<'X'
FROM scratch
COPY otelcol-contrib /
USER 10001
EXPOSE 4317 4318
ENTRYPOINT ["/otelcol-contrib"]
CMD ["--config", "/etc/otelcol-contrib/config.yaml"]
X
}
