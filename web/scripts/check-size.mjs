// All script of the pages together, as browsers receive it. Called by `npm run build`.
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const LIMIT = 110_000;

const folder = new URL('../dist/assets/', import.meta.url);
const scripts = readdirSync(folder).filter((name) => name.endsWith('.js'));
const size = scripts.reduce(
  (sum, name) => sum + gzipSync(readFileSync(new URL(name, folder))).length,
  0,
);
console.log(`script: ${size} bytes gzip, of ${LIMIT} allowed`);
if (scripts.length === 0 || size > LIMIT) {
  console.error(
    `dist/assets has ${scripts.length} scripts of ${size} bytes: more than allowed, or none.`,
  );
  process.exit(1);
}
