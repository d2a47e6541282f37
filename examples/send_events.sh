#!/bin/sh
# Sends the events of a file: AUDIT_EXPORT_URL=… AUDIT_EXPORT_TOKEN=… sh send_events.sh events.ndjson
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Batches of at most 1,000 events and 3 MiB: the service takes 3.5 MiB. In the locale C, awk counts bytes.
LC_ALL=C awk -v folder="$folder" '
  NF {
    size = length($0) + 1
    if (!batches || events == 1000 || bytes + size > 3 * 1024 * 1024) {
      if (batches) close(file)
      file = sprintf("%s/%09d.ndjson", folder, ++batches)
      events = bytes = 0
    }
    print > file
    events++
    bytes += size
  }' "$1"

for batch in "$folder"/*.ndjson; do
  # A file without events has no batch.
  [ -e "$batch" ] || continue
  gzip -c "$batch" > "$folder/body"
  # The same for every attempt, and another one for other events.
  key=$(sha256sum < "$batch" | cut -c 1-64)
  # The token comes from standard input, so that it is not in the list of processes. curl repeats 408, 429 and 5xx and obeys
  # Retry-After; with --retry-all-errors it also repeats what got no answer. With --fail it would repeat every 4xx too.
  status=$(printf 'header = "Authorization: Bearer %s"\n' "$AUDIT_EXPORT_TOKEN" | curl --config - \
    --silent --show-error --max-time 35 --retry 7 --retry-all-errors --retry-max-time 300 \
    --header "Content-Type: application/x-ndjson" --header "Content-Encoding: gzip" --header "Idempotency-Key: $key" \
    --data-binary @"$folder/body" --output "$folder/answer" --write-out '%{http_code}' \
    "$AUDIT_EXPORT_URL/api/audit/events")
  if [ "$status" != 202 ]; then
    echo "$status: $(cat "$folder/answer")" >&2
    exit 1
  fi
done
