import assert from "node:assert/strict";
import { test } from "node:test";

import { filesOfDrop, filesOfInput } from "../src/verification/folder.ts";

/** A dropped folder of folders with files, which says how many files are asked for at the same time. */
function dropped(folders: number, files: number) {
    const seen = { now: 0, most: 0 };
    const file = (fullPath: string) => ({
        isFile: true,
        fullPath,
        file: (resolve: (file: unknown) => void) => {
            seen.now += 1;
            seen.most = Math.max(seen.most, seen.now);
            setImmediate(() => {
                seen.now -= 1;
                resolve({ name: fullPath });
            });
        },
    });
    const folder = (fullPath: string, children: unknown[]) => ({
        isFile: false,
        fullPath,
        createReader: () => {
            const batches = [children, []];
            return { readEntries: (resolve: (some: unknown) => void) => resolve(batches.shift()) };
        },
    });
    const inside = (path: string) => Array.from({ length: files }, (_, index) => file(`${path}/${index}`));
    const children = Array.from({ length: folders }, (_, index) => folder(`/top/${index}`, inside(`/top/${index}`)));
    const items = [{ webkitGetAsEntry: () => folder("/top", children) }];
    return { seen, items: items as unknown as DataTransferItem[] };
}

test("a dropped folder is listed with a growing count and few requests at a time", async () => {
    const { seen, items } = dropped(3, 450);
    const counts: number[] = [];
    const files = await filesOfDrop(items, (count) => counts.push(count));
    assert.equal(files.length, 3 * 450);
    assert.equal(new Set(files.map(({ path }) => path)).size, 3 * 450);
    assert.ok(files.some(({ path }) => path === "top/1/449"));
    assert.ok(seen.most > 10 && seen.most <= 100, `${seen.most}`);
    assert.ok(counts.length >= 15);
    assert.deepEqual(counts, counts.toSorted((a, b) => a - b));
});

test("a listing ends when its count is refused", async () => {
    const { items } = dropped(3, 450);
    const counts: number[] = [];
    const refuse = (count: number) => {
        counts.push(count);
        if (count > 200) throw new Error("cancelled");
    };
    await assert.rejects(filesOfDrop(items, refuse), /cancelled/);
    assert.equal(counts.at(-1), 300);
});

test("both ways to choose have the same limit", async () => {
    await assert.rejects(filesOfDrop(dropped(3, 450).items, () => undefined, 1000), /more than 1000 files/);
    const many = { length: 4_000_001 } as FileList;
    assert.throws(() => filesOfInput(many), /more than 4000000 files/);
});
