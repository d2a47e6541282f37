#!/bin/sh
# Installs LocalStack into .tools/localstack, and DynamoDB Local, which it needs; does nothing if both are up to date.
# Needs Python 3.13 (found, or installed by uv) and the requirements of dynamodb_local.sh; the exit status is 3 if one is missing.
# `install.sh check` only checks for these, and installs Python if it is missing. Run bootstrap.sh first.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools=$(cd "$here/../../.." && pwd)/.tools
uv=$tools/tools/bin/uv
stamp=$tools/localstack.stamp

missing() {
    echo "LocalStack can't run here: $1" >&2
    exit 3
}

is_python() { [ -x "$1" ] && "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; }

# LocalStack 4.14.0 starts with older versions, but then fails in DynamoDB and Lambda.
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
"$here/../dynamodb_local.sh" check
[ "${1:-}" != check ] || exit 0

echo "install: LocalStack into .tools/localstack"
is_python "$tools/localstack/bin/python" || "$uv" venv --quiet --clear --python "$python" "$tools/localstack"
"$uv" pip sync --quiet --require-hashes --python "$tools/localstack/bin/python" "$here/../localstack.txt"
"$here/../dynamodb_local.sh"
echo "$wanted" > "$stamp"
