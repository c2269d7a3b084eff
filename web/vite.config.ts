import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// The client is taken from its source, so that one `npm ci && npm run build` here is enough. What it
// imports is found in this folder (`dedupe`): its own may not be installed.
const client = (path: string) =>
  fileURLToPath(new URL(`../clients/typescript/src/${path}`, import.meta.url));

// Where `npm run dev` finds a running service.
const service = process.env.READDRESS_URL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [
    react(),
    {
      // What `readdress dev` does when it serves the build: see src/demo.ts.
      name: 'demo-marker',
      apply: 'serve',
      transformIndexHtml: (html) =>
        html.replace(
          '<!-- readdress-demo -->',
          '<meta name="readdress-demo" content="/dev/mailbox" />',
        ),
    },
  ],
  resolve: {
    alias: [
      { find: '@readdress/client/react', replacement: client('react/index.ts') },
      { find: '@readdress/client', replacement: client('index.ts') },
    ],
    dedupe: ['react', 'react-dom', '@tanstack/react-query'],
  },
  // Every file by itself: a `data:` URL would need a hole in the content security policy.
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { '/v1': service, '/dev': service }, fs: { allow: ['..'] } },
  test: {
    environment: 'jsdom',
    setupFiles: 'test/setup.ts',
    restoreMocks: true,
    testTimeout: 20_000,
  },
});
