import { defineConfig } from "vite";

/** The server whose data `npm run dev` shows. */
const server = process.env["TALLOW_URL"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  build: {
    target: "es2022",
    // The policy of the page forbids inline scripts and styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    emptyOutDir: true,
  },
  server: { proxy: { "/api": server, "/ws": { target: server, ws: true } } },
});
