// Composes docs/pictures/pages.png, the picture in the README, from pictures that the browser tests took
// (target/screenshots): four pages side by side, and the mail that leads from each to the next. Called by
// `make picture`. It must stay small: everybody who opens the README loads it.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import sharp from 'sharp';

const LARGEST = 150_000;
const root = fileURLToPath(new URL('../../', import.meta.url));
const out = join(root, 'docs/pictures/pages.png');

const PAGES = [
  ['20-settings', 'the password, in the settings'],
  ['30-new-email', 'the new address, twice'],
  ['40-activation', 'one button: the address changes'],
  ['50-undo', 'the way back, for seven days'],
];
const MAILS = ['to the current address', 'to the new address', 'to the old address'];

const data = (name) => {
  const file = join(root, `target/screenshots/${name}-320-light.png`);
  return `data:image/png;base64,${readFileSync(file).toString('base64')}`;
};
const page = ([name, text], index) =>
  `<figure><figcaption><b>${index + 1}</b> ${text}</figcaption><div><img src="${data(name)}"></div></figure>`;
const mail = (text) => `<aside><i>✉</i><span>mail</span><span>${text}</span><i>→</i></aside>`;
const html = `<!doctype html><meta charset="utf-8"><style>
  body { margin: 0; padding: 16px; width: max-content; background: #fff; color: #1b1b22;
    font: 15px/1.35 "DejaVu Sans", sans-serif; display: flex; gap: 10px; }
  figure { margin: 0; width: 300px; }
  figcaption { height: 30px; font-size: 15px; }
  b { color: #2d54d6; }
  /* What a page says below its card, and above it, is cut off: it is the same on each. */
  div { height: 736px; overflow: hidden; border-radius: 12px; background: #f3f4f8; }
  img { width: 300px; margin-top: -22px; }
  aside { width: 84px; margin-top: 250px; display: flex; flex-direction: column; align-items: center;
    text-align: center; font-size: 13px; color: #55565f; }
  i { font: 34px/1.1 "DejaVu Sans", sans-serif; color: #2d54d6; }
</style>${PAGES.map((each, index) => page(each, index) + (index < MAILS.length ? mail(MAILS[index]) : '')).join('')}`;

const profile = mkdtempSync(join(tmpdir(), 'readdress-picture-'));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu'],
});
try {
  const tab = browser.pages()[0] ?? (await browser.newPage());
  await tab.setViewportSize({ width: 1520, height: 840 });
  await tab.setContent(html, { waitUntil: 'load' });
  const whole = await tab.locator('body').screenshot();
  // Few colours are enough for pages like these, and a third of the size.
  await sharp(whole).png({ palette: true, colours: 64, dither: 0, effort: 10 }).toFile(out);
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
const { size } = statSync(out);
console.log(`docs/pictures/pages.png: ${size} bytes`);
assert.ok(size <= LARGEST, `more than ${LARGEST} bytes`);
