#!/bin/sh
# Unpacks the Debian packages of debian-packages.txt into a folder, without root; its `bin` has the programs. Does nothing if it
# has them.
# Usage: debian.sh FOLDER [LIST]
set -eu
folder=$1
list=${2:-$(cd "$(dirname "$0")" && pwd)/debian-packages.txt}
wanted=$(cksum < "$list")
[ "$(cat "$folder/stamp" 2>/dev/null || true)" != "$wanted" ] || exit 0

fail() {
    echo "readers: $1" >&2
    exit 1
}

for program in apt-get dpkg; do
    command -v "$program" > /dev/null ||
        fail "no $program on this machine: the versions of $list are Debian 12's, so run 'make readers' in Debian 12"
done
echo "install: the programs of $(basename "$list") into $folder"
rm -rf "$folder"
mkdir -p "$folder/packages"
for package in $(grep -v '^#' "$list"); do
    # As root, apt warns that its own user can't write here.
    (cd "$folder/packages" && apt-get download -qq -o APT::Sandbox::User=root "$package") ||
        fail "the mirror has no $package for Debian 12. Run 'apt-get update' as root and try again. If it is still missing, Debian replaced it:
write the version that 'apt-cache policy ${package%%=*}' shows into $list, run 'UPDATE_DOCS=1 make readers', compare
the table of docs/READING.md, and commit both"
done
for package in "$folder/packages"/*.deb; do
    dpkg --extract "$package" "$folder"
done
rm -r "$folder/packages"
libraries=$(echo "$folder"/usr/lib/*-linux-gnu)
mkdir "$folder/bin"
for program in "$folder"/usr/bin/*; do
    name=$(basename "$program")
    missing=$(LD_LIBRARY_PATH=$libraries ldd "$program" 2>/dev/null | grep 'not found' || true)
    [ -z "$missing" ] || fail "this machine lacks libraries of $name: install them with apt-get.
$missing"
    # Other programs keep their own libraries.
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "$libraries" "$program" > "$folder/bin/$name"
    chmod +x "$folder/bin/$name"
done
echo "$wanted" > "$folder/stamp"
