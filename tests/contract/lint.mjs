// Lints the OpenAPI document with Redocly, and then documents with one fault each, which must be found.
//
// usage: node lint.mjs DOCUMENT
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const path = process.argv[2];
const folder = mkdtempSync(join(tmpdir(), 'lint-'));

function lint(file) {
  const redocly = join(here, 'node_modules', '.bin', 'redocly');
  const options = ['lint', file, '--config', join(here, 'redocly.yaml')];
  return spawnSync(redocly, options, {
    encoding: 'utf8',
    env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
  });
}

const request = (document) => document.paths['/v1/email-change/request'].post;

const FAULTS = {
  'operation-4xx-problem-details-rfc7807': (document) => {
    const { content } = request(document).responses['403'];
    content['application/json'] = content['application/problem+json'];
    delete content['application/problem+json'];
  },
  'security-defined': (document) => {
    delete request(document).security;
  },
  'no-unresolved-refs': (document) => {
    delete document.components.schemas.MailSent;
  },
  'operation-summary': (document) => {
    delete request(document).summary;
  },
};

let failed = false;
const clean = lint(path);
if (clean.status !== 0) {
  console.error(clean.stdout + clean.stderr);
  failed = true;
}
for (const [rule, fault] of Object.entries(FAULTS)) {
  const document = JSON.parse(readFileSync(path, 'utf8'));
  fault(document);
  const faulty = join(folder, 'faulty.json');
  writeFileSync(faulty, JSON.stringify(document));
  const { status, stdout, stderr } = lint(faulty);
  if (status === 0 || !(stdout + stderr).includes(rule)) {
    console.error(`${rule} is not found:\n${stdout}${stderr}`);
    failed = true;
  }
}
rmSync(folder, { recursive: true });
console.log(failed ? 'Lint: FAILED.' : `Lint: nothing found; ${Object.keys(FAULTS).length} faults put in for a try were.`);
process.exit(failed ? 1 : 0);
