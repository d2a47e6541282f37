#!/bin/sh
# fflate 0.8.3: `gunzipSync` returns the first member of a gzip file alone: of two files of 500 lines that were joined with `cat`, it
# has 500, without an error. Joined files are valid (RFC 1952, 2.2). Its streaming `Gunzip`, pako 3.0.3 and Node.js return all lines.
# Proposed fix: https://github.com/101arrowz/fflate/pull/287
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --prefix . fflate@0.8.3 pako@3.0.3
cat > read.mjs <<'NODE'
import assert from "node:assert/strict";
import zlib from "node:zlib";
import * as fflate from "fflate";
import * as pako from "pako";

const text = (first, count) => Array.from({ length: count }, (_, index) => `{"n":${first + index}}\n`).join("");
const halves = [text(0, 500), text(500, 500)].map((lines) => zlib.gzipSync(lines));

function streamed(bytes) {
  const parts = [];
  new fflate.Gunzip((part) => parts.push(Buffer.from(part))).push(bytes, true);
  return Buffer.concat(parts);
}

const readers = {
  "fflate gunzipSync": fflate.gunzipSync,
  "fflate Gunzip": streamed,
  pako: pako.ungzip,
  "Node.js": zlib.gunzipSync,
};
function lines(members) {
  const bytes = new Uint8Array(Buffer.concat(members));
  return Object.fromEntries(
    Object.entries(readers).map(([name, read]) => [name, Buffer.from(read(bytes)).toString().split("\n").length - 1]),
  );
}

const whole = { "fflate gunzipSync": 1000, "fflate Gunzip": 1000, pako: 1000, "Node.js": 1000 };
const one = lines([zlib.gzipSync(text(0, 1000))]);
const two = lines(halves);
console.log("one member:", one);
console.log("two members:", two);
assert.deepEqual(one, whole);
assert.deepEqual(two, { ...whole, "fflate gunzipSync": 500 });
NODE
node read.mjs
