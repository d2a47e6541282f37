#!/bin/sh
# Installs the readers into .tools/readers: the Python packages of readers.txt, and the programs of debian-packages.txt, which need
# no root. Does nothing if they are up to date. Run bootstrap.sh first.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
local=$(cd "$here/../local" && pwd)
tools=$(cd "$local/../.." && pwd)/.tools
stamp=$tools/readers.stamp
wanted=$(cksum < "$local/readers.txt")
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
    . "$local/index.sh"
    echo "install: the readers into .tools/readers"
    [ -x "$tools/readers/bin/python" ] || python3 -m venv "$tools/readers"
    "$tools/tools/bin/uv" pip sync --quiet --require-hashes --python "$tools/readers/bin/python" "$local/readers.txt"
    echo "$wanted" > "$stamp"
fi
exec "$here/debian.sh" "$tools/readers/debian"
