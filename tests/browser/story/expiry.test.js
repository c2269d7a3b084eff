// Links and sessions whose time is over: links live for seconds.
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startChromium, visit } from '../support/browser.js';
import { look } from '../support/look.js';
import * as person from '../support/person.js';
import { startService } from '../support/service.js';

let browser;
before(async () => {
  browser = await startChromium();
});
after(() => browser.close());

const LIFETIMES = {
  READDRESS_CONFIRM_TTL: '3s',
  READDRESS_ACTIVATE_TTL: '3s',
  READDRESS_UNDO_TTL: '1s',
};

test('an expired link says so before anything is typed, each in its own words', async (t) => {
  const service = await startService(LIFETIMES);
  t.after(() => service.stop());
  const links = await service.changed('new@example.org');
  await service.undone(links);
  const { activate } = await service.confirmed('newer@example.org');
  await sleep(7_500);
  for (const [link, name] of [
    [links.confirm, '37-new-email-expired'],
    [activate, '46-activation-expired'],
    [links.cancel, '63-cancel-expired'],
    [links.undo, '54-undo-expired'],
  ]) {
    const { page, watch } = await visit(browser, service);
    await page.goto(link);
    await person.arriveAt(page, 'This link has expired');
    await look(page, name);
    await watch.held();
  }
});

test('a link that expires while its page is open says so at the press, and how to go on', async (t) => {
  const service = await startService(LIFETIMES);
  t.after(() => service.stop());
  const { activate } = await service.confirmed('new@example.org');
  const { page, watch } = await visit(browser, service);
  await page.goto(activate);
  await person.arriveAt(page, 'Use this address?');
  await sleep(3_500);
  await person.press(page, 'Use this address');
  await person.arriveAt(page, 'This link has expired');
  await page.getByRole('link', { name: 'Start again in settings' }).click();
  await person.arriveAt(page, 'Sign in');
  await watch.held(410);
});

test('a session that is over asks to sign in again and says why', async (t) => {
  const service = await startService({ READDRESS_ACCESS_TTL: '2s' });
  t.after(() => service.stop());
  const { page, watch } = await visit(browser, service);
  await person.signIn(page, service);
  await person.arriveAt(page, 'Change your e-mail address');
  await sleep(2_500);
  await person.askForLink(page);
  await person.arriveAt(page, 'Sign in');
  await look(page, '14-sign-in-again');
  await watch.held(401);
});
