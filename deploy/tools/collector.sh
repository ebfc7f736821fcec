#!/usr/bin/env bash
# Builds the collector of collector.yaml with its own builder, once per machine and manifest, and prints the path of the
# program. Needs Go; takes five minutes of CPU.
set -euo pipefail
cd "$(dirname "$0")"
manifest=$PWD/collector.yaml
directory=${XDG_CACHE_HOME:-$HOME/.cache}/flightdeck/collector/$(sha256sum "$manifest" | cut -c1-16)
program=$directory/build/otelcol-contrib
mkdir -p "$directory"
exec 9>"$directory/lock"
flock 9
if [ ! -x "$program" ]; then
  go tool -n builder >"$directory/builder"
  (cd "$directory" && "$(<builder)" --config "$manifest" >build.log 2>&1) || { tail -n 20 "$directory/build.log" >&2; exit 1; }
fi
echo "$program"
