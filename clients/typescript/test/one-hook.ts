// What an application imports that only confirms; `size.test.ts` measures it.
export { useConfirmEmailChange } from '../src/react/index.js';
