#!/bin/sh
# Installs the tools of tools.txt and emulator.txt into .tools/. Needs python3 (3.11 or newer); building needs Rust.
# Does nothing if the lock files have not changed since the last installation.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools=$(cd "$here/../.." && pwd)/.tools
stamp=$tools/stamp
wanted=$(cat "$here/tools.txt" "$here/emulator.txt" | cksum)

if [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ]; then
    exit 0
fi

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "bootstrap: python3 is older than 3.11" >&2
    exit 1
}
mkdir -p "$tools"

. "$here/index.sh"

for environment in tools emulator; do
    echo "bootstrap: installing $environment into .tools/$environment"
    [ -x "$tools/$environment/bin/python" ] || python3 -m venv "$tools/$environment"
    if [ "$environment" = tools ] && [ ! -x "$tools/tools/bin/uv" ]; then
        "$tools/tools/bin/pip" install --quiet --disable-pip-version-check "$(grep -o '^uv==[^ ]*' "$here/tools.txt")"
    fi
    "$tools/tools/bin/uv" pip sync --quiet --require-hashes --python "$tools/$environment/bin/python" "$here/$environment.txt"
done
echo "$wanted" > "$stamp"
