// The real binary, `readdress dev`, on a free port and in a folder of its own: its users and mails are
// there and nowhere else. It serves the built pages.
import { spawn, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const DEMO = 'demo@example.com';
export const PASSWORD = 'correct horse battery staple';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const binary = process.env.READDRESS_BIN ?? join(root, 'target/debug/readdress');
const pages = join(root, 'web/dist');
/** The longest the service may take to say where it listens, in milliseconds: two cores, in CI busy. */
const PATIENCE = 20_000;

/** Starts it with these variables besides; every limit is off, for tests type many passwords. */
export async function startService(variables = {}) {
  for (const needed of [binary, join(pages, 'index.html')]) {
    if (!existsSync(needed)) {
      throw new Error(`${needed} is missing: run scripts/browser-test, which builds it`);
    }
  }
  const folder = mkdtempSync(join(tmpdir(), 'readdress-'));
  const limits = ['PASSWORDS', 'RECIPIENT', 'RECIPIENT_ALL', 'CLIENT'];
  const env = {
    ...Object.fromEntries(limits.map((name) => [`READDRESS_LIMIT_${name}`, 'off'])),
    READDRESS_LISTEN: '127.0.0.1:0',
    READDRESS_WEB_ROOT: pages,
    ...variables,
  };
  const child = spawn(binary, ['dev'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const service = new Service(child, folder, await address(child));
  // A failed test must not leave it behind.
  process.once('exit', () => child.kill('SIGKILL'));
  return service;
}

function address(child) {
  return new Promise((resolve, reject) => {
    let said = '';
    const tooLate = setTimeout(() => reject(new Error(`it does not start: ${said}`)), PATIENCE);
    const listen = (text) => {
      said += text;
      const found = /Try it +(http:\/\/[\d.:]+)\//.exec(said);
      if (found && said.includes('Ctrl-C')) {
        clearTimeout(tooLate);
        resolve(found[1]);
      }
    };
    child.stdout.setEncoding('utf8').on('data', listen);
    child.stderr.setEncoding('utf8').on('data', listen);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${said}`)));
  });
}

class Service {
  #child;
  #folder;

  constructor(child, folder, url) {
    this.#child = child;
    this.#folder = folder;
    this.url = url;
  }

  async stop() {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
    rmSync(this.#folder, { recursive: true });
  }

  /** Somebody else with an account, and the same password. */
  addUser(email) {
    const database = `sqlite://${join(this.#folder, '.readdress/users.db')}`;
    const env = { READDRESS_DATABASE_URL: database };
    execFileSync(binary, ['user', 'add', email], { env, input: `${PASSWORD}\n` });
  }

  async post(path, body, access) {
    const headers = { 'Content-Type': 'application/json' };
    if (access) {
      headers.Authorization = `Bearer ${access}`;
    }
    const request = { method: 'POST', headers, body: JSON.stringify(body) };
    const response = await fetch(`${this.url}${path}`, request);
    const answer = await response.json();
    if (!response.ok) {
      throw new Error(`${path}: ${JSON.stringify(answer)}`);
    }
    return answer;
  }

  /** Address, subject and path of every mail, newest first. */
  async mails() {
    const page = await (await fetch(`${this.url}/dev/mailbox`)).text();
    const entry = /<li><a href="([^"]+)"[^>]*>([^<]+)<\/a><span[^>]*>to ([^<]+)</g;
    return [...page.matchAll(entry)].map(([, path, subject, to]) => ({ path, subject, to }));
  }

  /** The newest link to that page, once it has arrived. */
  async link(page) {
    for (let tries = 0; tries < 200; tries += 1) {
      for (const { path } of await this.mails()) {
        const html = await (await fetch(`${this.url}${path}/html`)).text();
        const found = new RegExp(`href="([^"]*(?:/|&#x2f;)${page}\\?token=[^"]+)"`).exec(html);
        if (found) {
          return found[1].replaceAll('&#x2f;', '/').replaceAll('&amp;', '&');
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`no mail with a link to ${page}`);
  }

  // Shortcuts to where a test begins, through the API. Each answers with links.

  async signIn(email = DEMO) {
    return (await this.post('/v1/session', { email, password: PASSWORD })).access_token;
  }

  async requested(email = DEMO) {
    const access = await this.signIn(email);
    await this.post('/v1/email-change/request', { password: PASSWORD }, access);
    return { confirm: await this.link('new-email'), cancel: await this.link('cancel-email-change') };
  }

  async confirmed(newEmail, email = DEMO) {
    const links = await this.requested(email);
    const body = { token: token(links.confirm), password: PASSWORD, new_email: newEmail };
    await this.post('/v1/email-change/confirm', body);
    return { ...links, activate: await this.link('email-activation') };
  }

  async changed(newEmail, email = DEMO) {
    const links = await this.confirmed(newEmail, email);
    await this.post('/v1/email-change/activate', { token: token(links.activate) });
    return { ...links, undo: await this.link('undo-email-change') };
  }

  /** Back to the address that the demo user had at first, by undoing the change. */
  async undone(links) {
    const body = { token: token(links.undo), password: PASSWORD };
    await this.post('/v1/email-change/undo', body);
  }
}

export function token(link) {
  return new URL(link).searchParams.get('token');
}
