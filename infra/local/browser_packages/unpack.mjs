// Decompresses the files of the package with Chromium: node unpack.mjs FOLDER DESTINATION.

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";

const [, , folder, destination] = process.argv;
mkdirSync(destination);
for (const name of ["chromium", "al2023.tar", "fonts.tar", "swiftshader.tar"]) {
    writeFileSync(join(destination, name), brotliDecompressSync(readFileSync(join(folder, `${name}.br`))));
}
chmodSync(join(destination, "chromium"), 0o755);

// That of the package names folders of AWS Lambda.
const fonts = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
    <dir prefix="relative">fonts</dir>
    <dir>/usr/share/fonts</dir>
    <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
`;
writeFileSync(join(destination, "fonts.conf.own"), fonts);
