#!/usr/bin/env bash
# Writes the table in the file MARKDOWN as a comment of PULL_REQUEST, over the one of an earlier run if there is one.
# A pull request from a fork has no permission to comment: the job's summary has the table, and the job goes on.
set -euo pipefail
marker='<!-- flightdeck lab compare -->'
body=$(mktemp)
trap 'rm -f "$body"' EXIT
{ echo "$marker"; cat "$MARKDOWN"; } >"$body"
comments=repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments
earlier=$(gh api --paginate "$comments" --jq ".[] | select(.body | startswith(\"$marker\")) | .id" | head -n 1) || earlier=
if [ -n "$earlier" ]; then
  gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$earlier" --field "body=@$body" --silent
else
  gh api --method POST "$comments" --field "body=@$body" --silent
fi || echo "::warning::no permission to comment; the job's summary has the table"
