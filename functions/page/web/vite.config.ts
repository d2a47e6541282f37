import { defineConfig } from "vite";

import { text } from "./src/text.ts";

/** Names of the verification, which is loaded on request and has a budget apart from that of the page. */
function chunkName({ facadeModuleId }: { facadeModuleId?: string | null | undefined }): string {
    const isVerification = facadeModuleId?.includes("/src/verification/") ?? false;
    return `assets/${isVerification ? "verification-" : ""}[name]-[hash].js`;
}

/** Fills the texts of the document. */
function textOf(_: string, name: string): string {
    const found: unknown = text[name as keyof typeof text];
    if (typeof found !== "string") throw new Error(`text.ts has no ${name}`);
    return found;
}

export default defineConfig({
    plugins: [{ name: "texts", transformIndexHtml: (html) => html.replace(/\{(\w+)\}/g, textOf) }],
    base: "./",
    build: {
        target: "es2022",
        modulePreload: { polyfill: false },
        // A data URL would need an exception from the page's content security policy.
        assetsInlineLimit: 0,
        reportCompressedSize: false,
        rolldownOptions: { output: { chunkFileNames: chunkName } },
    },
    worker: { format: "es", rolldownOptions: { output: { entryFileNames: chunkName } } },
    experimental: {
        // The page is at `…/audit`, without a slash at its end, below any prefix. Its assets are at `…/audit/assets/`.
        renderBuiltUrl: (name, { hostType }) => (hostType === "html" ? `audit/${name}` : { relative: true }),
    },
});
