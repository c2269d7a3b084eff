// `@readdress/client`: the operations of the service, generated from its OpenAPI document, and what
// every caller needs around them. No dependencies; React hooks are in `@readdress/client/react`.

export type { Client, Config } from './generated/client/index.js';
export { createClient, createConfig } from './generated/client/index.js';
export { client } from './generated/client.gen.js';
export type { Problem as ProblemDocument } from './generated/index.js';
export * from './generated/index.js';
export { Problem, type ProblemCode, toProblem } from './problem.js';
export { readToken, takeToken } from './token.js';
export { type Outcome, unwrap } from './unwrap.js';
