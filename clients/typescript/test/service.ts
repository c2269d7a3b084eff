// A stand-in for the service: MSW answers real `fetch` calls, and each test says with what.
import { HttpResponse, http, type JsonBodyType } from 'msw';
import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { type Code, client } from '../src/index.js';

export const ORIGIN = 'http://readdress.test';

export interface Call {
  path: string;
  body: unknown;
  authorization: string | null;
}

/** Starts it for the tests of one file; the calls of the current test are in `calls`. */
export function standIn() {
  const calls: Call[] = [];
  const server = setupServer();
  server.events.on('request:start', async ({ request }) => {
    const body = request.method === 'POST' ? await request.clone().json() : undefined;
    const { pathname: path } = new URL(request.url);
    calls.push({ path, body, authorization: request.headers.get('Authorization') });
  });
  beforeAll(() => server.listen({ onUnhandledRequest: 'error' }));
  afterEach(() => {
    server.resetHandlers();
    calls.length = 0;
    client.setConfig({ baseUrl: ORIGIN, auth: undefined });
  });
  afterAll(() => server.close());
  client.setConfig({ baseUrl: ORIGIN });
  const answer = (path: string, response: () => Response) =>
    server.use(http.all(`${ORIGIN}${path}`, response));
  return { calls, answer };
}

export const json = (body: JsonBodyType, status = 200) => HttpResponse.json(body, { status });

export const problem = (code: Code, status: number, headers: Record<string, string> = {}) =>
  new HttpResponse(
    JSON.stringify({
      type: `urn:readdress:problem:${code}`,
      title: code,
      status,
      detail: `Detail of ${code}.`,
      code,
      request_id: '019aa2b4-0000-7000-8000-00000000000f',
    }),
    { status, headers: { 'Content-Type': 'application/problem+json', ...headers } },
  );
