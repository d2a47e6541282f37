import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    // A data URL would need an exception from the page's content security policy.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  experimental: {
    // The page is at `…/audit`, without a slash at its end, below any prefix. Its assets are at `…/audit/assets/`.
    renderBuiltUrl: (name, { hostType }) => (hostType === "html" ? `audit/${name}` : { relative: true }),
  },
});
