// @vitest-environment node
// What one hook adds to an application that has React and TanStack Query already.
import { gzipSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';
import { expect, test } from 'vitest';

test('one hook is under 6 kB gzip, and brings no other operation', async () => {
  const built = (await build({
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      rolldownOptions: {
        input: 'test/one-hook.ts',
        preserveEntrySignatures: 'strict',
        external: ['react', '@tanstack/react-query'],
      },
    },
  })) as Rolldown.RolldownOutput;
  const code = built.output.map((part) => ('code' in part ? part.code : '')).join('');
  const size = gzipSync(code).length;
  console.info(`one hook: ${size} bytes gzip`);

  expect(code).toContain('/v1/email-change/confirm');
  expect(code).not.toContain('/v1/email-change/undo');
  expect(size).toBeLessThan(6_000);
});
