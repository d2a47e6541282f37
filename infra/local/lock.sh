#!/bin/sh
# Writes tools.txt and emulator.txt anew from tools.in and emulator.in.
set -eu
cd "$(dirname "$0")"
for environment in tools emulator; do
    ../../.tools/tools/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
        --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
        --output-file "$environment.txt" "$environment.in"
done
