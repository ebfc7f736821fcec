#!/usr/bin/env bash
# Starts the commits BASE and HEAD of the repository in the current directory, and compares them with flightdeck.
# The exit code is that of `flightdeck lab compare`.
set -euo pipefail
: "${FLIGHTDECK:=flightdeck}" "${BASE:?the commit to compare with}" "${HEAD:?the commit to compare}" \
  "${START:?the command that starts the service}" "${REQUESTS:?the file with the requests}" \
  "${INSTALL:=}" "${READY:=/}" "${FAIL_IF:=}" "${OPTIONS:=}" "${READY_S:=120}" "${STOP_S:=10}"
work=$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/compare.XXXXXX")
groups=()

# SIGTERM to every process group, then SIGKILL to what still runs: a server that is left keeps its port and its checkout.
stop() {
  local signal group deadline
  for signal in TERM KILL; do
    deadline=$((SECONDS + STOP_S))
    for group in "${groups[@]}"; do kill "-$signal" -- "-$group" 2>/dev/null || true; done
    for group in "${groups[@]}"; do
      while kill -0 -- "-$group" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.05; done
    done
  done
  for side in base head; do git worktree remove --force "$work/$side" 2>/dev/null || true; done
}
trap stop EXIT

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start SIDE COMMIT PORT: check out, install, start in a process group of its own, wait until it is ready
start() {
  local side=$1 commit=$2 port=$3 deadline
  git cat-file -e "$commit^{commit}" 2>/dev/null || git fetch --quiet --depth 1 origin "$commit"
  git worktree add --quiet --detach "$work/$side" "$commit"
  cd "$work/$side"
  if [ -n "$INSTALL" ]; then
    bash -euo pipefail -c "$INSTALL" >"$work/$side.install.log" 2>&1 || {
      echo "::error::the install command failed in $side ($commit)"; tail -n 30 "$work/$side.install.log"; return 1
    }
  fi
  PORT=$port setsid bash -euo pipefail -c "$START" >"$work/$side.log" 2>&1 &
  groups+=($!)
  cd - >/dev/null
  deadline=$((SECONDS + READY_S))
  until curl --silent --fail --output "$work/ready" --max-time 5 "http://127.0.0.1:$port$READY"; do
    if ! kill -0 "${groups[-1]}" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
      echo "::error::$side ($commit) was not ready at $READY; the end of its log follows"
      tail -n 30 "$work/$side.log"
      return 1
    fi
    sleep 0.2
  done
}

base_port=$(free_port) head_port=$(free_port)
start base "$BASE" "$base_port"
start head "$HEAD" "$head_port"

conditions=()
while IFS= read -r condition; do
  [ -z "${condition// /}" ] || conditions+=(--fail-if "$condition")
done <<<"$FAIL_IF"
read -ra options <<<"$OPTIONS"
status=0
"$FLIGHTDECK" lab compare "http://127.0.0.1:$base_port" "http://127.0.0.1:$head_port" \
  --requests "$work/head/$REQUESTS" --markdown "$work/compare.md" --json \
  "${conditions[@]}" "${options[@]}" >"$work/compare.json" || status=$?

if [ -s "$work/compare.md" ]; then
  { echo "A is $BASE, B is $HEAD."; echo; cat "$work/compare.md"; } >"$work/comment.md"
  cat "$work/comment.md" >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
  { echo "markdown=$work/comment.md"; echo "result=$work/compare.json"; } >>"${GITHUB_OUTPUT:-/dev/null}"
fi
[ "$status" != 3 ] || echo "::error::a condition holds: the service is slower"
exit "$status"
