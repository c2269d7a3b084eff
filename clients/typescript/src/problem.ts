// Whatever can go wrong, as one typed value: a problem document of the service (RFC 9457), no answer
// at all, or an answer that is not the service's. Hooks and `unwrap` fail with it; `toProblem` makes
// it from anything else that was caught.
import { Code, type FieldError, type Problem as ProblemDocument } from './generated/index.js';

/**
 * What went wrong, for a `switch`: the closed set of the service, and two that only a client sees.
 *
 * - `network_error`: no answer came (offline, connection lost, timed out, refused by CORS).
 * - `unexpected_response`: an answer came that the service does not give, such as a proxy's HTML page,
 *   or a `code` of a newer service.
 */
export type ProblemCode = Code | 'network_error' | 'unexpected_response';

/** What went wrong. Field names are those of the problem document. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  /** The HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;
  /** For the service's operators, who find it in their log. */
  readonly request_id: string | undefined;
  /** The fields that were refused. */
  readonly errors: readonly FieldError[];
  /** Seconds to wait before trying again, where the answer said so. */
  readonly retry_after: number | undefined;

  constructor(code: ProblemCode, message: string, facts: Facts = {}) {
    super(message, { cause: facts.cause });
    this.code = code;
    this.status = facts.status;
    this.request_id = facts.request_id;
    this.errors = facts.errors ?? [];
    this.retry_after = facts.retry_after;
  }
}

interface Facts {
  status?: number | undefined;
  request_id?: string | undefined;
  errors?: readonly FieldError[] | undefined;
  retry_after?: number | undefined;
  cause?: unknown;
}

/**
 * Turns what an operation answered as `error`, or what was caught, into a {@link Problem}.
 *
 * `response` is where status and `Retry-After` are read from; without it they are unknown.
 */
export function toProblem(error: unknown, response?: Response): Problem {
  if (error instanceof Problem) {
    return error;
  }
  const status = response?.status;
  const request_id = response?.headers.get('X-Request-Id') ?? undefined;
  const retry_after = seconds(response?.headers.get('Retry-After'));
  if (isProblemDocument(error)) {
    return new Problem(error.code, error.detail, {
      status: error.status,
      request_id: error.request_id,
      errors: error.errors,
      retry_after,
    });
  }
  if (response === undefined && isNetworkFailure(error)) {
    return new Problem('network_error', 'No answer came from the service.', { cause: error });
  }
  const facts = { status, request_id, retry_after, cause: error };
  return new Problem('unexpected_response', 'The answer is not one of this service.', facts);
}

function isProblemDocument(value: unknown): value is ProblemDocument {
  if (typeof value !== 'object' || value === null) {
    return false;
  }
  const { code, detail, status } = value as Partial<ProblemDocument>;
  const codes: readonly unknown[] = Object.values(Code);
  return codes.includes(code) && typeof detail === 'string' && typeof status === 'number';
}

/** `fetch` rejects with a TypeError, or with a DOMException when it is aborted or timed out. */
function isNetworkFailure(error: unknown): boolean {
  return error instanceof TypeError || error instanceof DOMException;
}

/** The service sends whole seconds; a proxy before it may send a date (RFC 9110, section 10.2.3). */
function seconds(header: string | null | undefined): number | undefined {
  if (!header) {
    return undefined;
  }
  const value = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(value) ? Math.max(0, Math.ceil(value)) : undefined;
}
