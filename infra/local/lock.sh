#!/bin/sh
# Locks tools.in, emulator.in, readers.in, localstack.in and the peers of the bench: writes the *.txt beside them.
set -eu
cd "$(dirname "$0")"
for environment in tools emulator readers; do
    ../../.tools/tools/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
        --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
        --output-file "$environment.txt" "$environment.in"
done

# With versions from the time of its release: newer versions of its unpinned dependencies break it.
../../.tools/tools/bin/uv pip compile --quiet --upgrade --exclude-newer 2026-03-15 --python-platform linux \
    --python-version 3.13 --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
    --custom-compile-command "make lock" --output-file localstack.txt localstack.in

peers=../../tests/bench/peers/requirements
../../.tools/tools/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
    --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
    --output-file "$peers.txt" "$peers.in"
