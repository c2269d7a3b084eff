// `@readdress/client/react`: TanStack Query hooks. Its peers are React and @tanstack/react-query.
export { useLink, useLinkToken } from './link.js';
export type { HookOptions } from './operation.js';
export {
  useActivateEmailChange,
  useCancelEmailChange,
  useConfirmEmailChange,
  useRequestEmailChange,
  useSignIn,
  useUndoEmailChange,
} from './steps.js';
