// What all step hooks share: one operation as a TanStack mutation that fails with a Problem.
import { type UseMutationResult, useMutation } from '@tanstack/react-query';
import type { Client } from '../generated/client/index.js';
import type { Problem } from '../problem.js';
import { type Outcome, unwrap } from '../unwrap.js';

/** The service answers within 9 s; what takes longer than this is a lost connection. */
const TIMEOUT_MS = 20_000;

export interface HookOptions {
  /** Another client than the package's own, from `createClient`. */
  client?: Client;
}

/** What is the same in every call that a hook makes. */
export function callOptions({ client }: HookOptions) {
  return { signal: AbortSignal.timeout(TIMEOUT_MS), ...(client && { client }) };
}

type Operation<Data, Body> = (
  body: Body,
  call: ReturnType<typeof callOptions>,
) => Promise<Outcome<Data>>;

export function useOperation<Data extends object, Body>(
  operation: Operation<Data, Body>,
  options: HookOptions = {},
): UseMutationResult<Data, Problem, Body> {
  return useMutation({
    mutationFn: (body) => unwrap(operation(body, callOptions(options))),
    // A press must not be repeated on its own, and not later, when the network comes back.
    retry: false,
    networkMode: 'always',
    // The variables hold a password: not kept once the page is gone.
    gcTime: 0,
  });
}
