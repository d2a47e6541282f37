#!/bin/sh
# Installs the programs of requirements.txt into .tools/parquet-peers: several hundred MB, so only the bench does it. Does
# nothing if the lock file has not changed since the last installation.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
peers=$root/.tools/parquet-peers
stamp=$peers/stamp
wanted=$(cksum < "$here/requirements.txt")

if [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ]; then
    exit 0
fi

. "$root/infra/local/index.sh"

echo "bench: installing what Parquet files are compared with into .tools/parquet-peers"
[ -x "$peers/bin/python" ] || python3 -m venv "$peers"
"$root/.tools/tools/bin/uv" pip sync --quiet --require-hashes --python "$peers/bin/python" "$here/requirements.txt"
echo "$wanted" > "$stamp"
