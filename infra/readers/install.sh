#!/bin/sh
# Installs the readers of readers.txt into .tools/readers; does nothing if they are up to date. Run bootstrap.sh first.
set -eu
local=$(cd "$(dirname "$0")/../local" && pwd)
tools=$(cd "$local/../.." && pwd)/.tools
stamp=$tools/readers.stamp
wanted=$(cksum < "$local/readers.txt")
[ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ] || exit 0

. "$local/index.sh"
echo "install: the readers into .tools/readers"
[ -x "$tools/readers/bin/python" ] || python3 -m venv "$tools/readers"
"$tools/tools/bin/uv" pip sync --quiet --require-hashes --python "$tools/readers/bin/python" "$local/readers.txt"
echo "$wanted" > "$stamp"
