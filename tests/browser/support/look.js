// A look at a page as it is now: as pictures, light and dark, and through axe with the rules of WCAG 2.2
// AA. Nothing may stick out at the side.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const folder = fileURLToPath(new URL('../../../target/screenshots/', import.meta.url));
/** What WCAG 2.2 asks for at level AA. */
export const WCAG = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

/** `name` is the picture's, with width and scheme added. A page is held to more than the standard. */
export async function look(page, name, rules = [...WCAG, 'best-practice']) {
  mkdirSync(folder, { recursive: true });
  const { width } = page.viewportSize();
  const sticksOut = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(sticksOut <= 0, `${name}: ${sticksOut} pixels stick out at the side at ${width}`);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await settled(page);
    await page.screenshot({
      path: join(folder, `${name}-${width}-${colorScheme}.png`),
      fullPage: true,
    });
    assert.deepEqual(await violations(page, rules), [], `${name}, ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: null });
}

/** Transitions are over: a colour on its way has another contrast. */
function settled(page) {
  return page.evaluate(() =>
    Promise.all(document.getAnimations().map((animation) => animation.finished)),
  );
}

async function violations(page, rules) {
  // Not by a script tag: the content security policy of the pages forbids it, as it should. A frame's
  // own content is looked at by itself: this mail's sandbox runs no script, axe's neither.
  await page.evaluate(axe);
  const found = await page.evaluate(
    (values) => globalThis.axe.run({ runOnly: { type: 'tag', values }, iframes: false }),
    rules,
  ).then((result) => result.violations);
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}
