import { defineConfig } from "vite";

export default defineConfig({
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    // The console runs under a Content-Security-Policy without inline code: nothing may be inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
  // `npm run dev` talks to a platform started by ./dev up.
  server: { proxy: { "/v1": api(), "/v2": api(), "/v4": api(), "/console/session": api(), "/console/settings": api(), "/console/cli_logins": api() } },
});

function api(): string {
  return process.env["KARREG_API_URL"] ?? "http://127.0.0.1:8080";
}
