# Sourced by the scripts that call uv. Gives uv the package index of pip's settings, unless it has its own.
pip_setting() { python3 -m pip config get "$1" 2>/dev/null || true; }
index=${PIP_INDEX_URL:-$(pip_setting global.index-url)}
extra=${PIP_EXTRA_INDEX_URL:-$(pip_setting global.extra-index-url)}
[ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
[ -z "$extra" ] || export UV_INDEX="${UV_INDEX:-$extra}"
