import { defineConfig } from "vite";

/** Where a server runs that `npm run dev` takes its data from. */
const server = process.env["TALLOW_URL"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  build: {
    target: "es2022",
    // The policy of the page allows no script or style within the document.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    emptyOutDir: true,
  },
  server: { proxy: { "/api": server, "/ws": { target: server, ws: true } } },
});
