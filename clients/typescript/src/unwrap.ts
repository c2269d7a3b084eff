// From what a generated operation answers to plain data, or a thrown Problem. The hooks use it, and
// so can code without React.
import { toProblem } from './problem.js';

/** What a generated operation answers, whether it went well or not. */
export interface Outcome<Data> {
  data?: Data | undefined;
  error?: unknown;
  response?: Response | undefined;
}

/**
 * Waits for an operation: `const sent = await unwrap(requestEmailChange({ body: { password } }))`.
 *
 * @throws {Problem} whatever went wrong.
 */
export async function unwrap<Data extends object>(
  operation: Promise<Outcome<Data>>,
): Promise<Data> {
  let outcome: Outcome<Data>;
  try {
    outcome = await operation;
  } catch (error) {
    throw toProblem(error);
  }
  const { data, error, response } = outcome;
  if (isAnswer(data)) {
    return data;
  }
  // A 200 that is not JSON, or empty, comes from something between here and the service.
  throw toProblem(error ?? data, response);
}

function isAnswer<Data extends object>(data: Data | undefined): data is Data {
  return typeof data === 'object' && data !== null && Object.keys(data).length > 0;
}
