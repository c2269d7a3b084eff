// One hook for each step of a change, and for signing in. `mutate` takes the body of the operation;
// `data` is its answer, `error` a Problem. They act when `mutate` is called, never on their own.
import {
  type ActivateEmailChangeData,
  activateEmailChange,
  type CancelEmailChangeData,
  type ConfirmEmailChangeData,
  cancelEmailChange,
  confirmEmailChange,
  type RequestEmailChangeData,
  requestEmailChange,
  type SignInData,
  signIn,
  type UndoEmailChangeData,
  undoEmailChange,
} from '../generated/index.js';
import { type HookOptions, useOperation } from './operation.js';

/** Mails a link to the current address. Needs an access token: see `auth` of the client. */
export const useRequestEmailChange = (options?: HookOptions) =>
  useOperation(
    (body: RequestEmailChangeData['body'], call) => requestEmailChange({ body, ...call }),
    options,
  );

/** Mails a link to the new address. Calling it again with the same body mails again. */
export const useConfirmEmailChange = (options?: HookOptions) =>
  useOperation(
    (body: ConfirmEmailChangeData['body'], call) => confirmEmailChange({ body, ...call }),
    options,
  );

/** Puts the new address in place. */
export const useActivateEmailChange = (options?: HookOptions) =>
  useOperation(
    (body: ActivateEmailChangeData['body'], call) => activateEmailChange({ body, ...call }),
    options,
  );

/** Stops a change before it is activated. */
export const useCancelEmailChange = (options?: HookOptions) =>
  useOperation(
    (body: CancelEmailChangeData['body'], call) => cancelEmailChange({ body, ...call }),
    options,
  );

/** Restores the old address. Afterwards the person should reset the password. */
export const useUndoEmailChange = (options?: HookOptions) =>
  useOperation(
    (body: UndoEmailChangeData['body'], call) => undoEmailChange({ body, ...call }),
    options,
  );

/** An access token, for those without an identity provider. */
export const useSignIn = (options?: HookOptions) =>
  useOperation((body: SignInData['body'], call) => signIn({ body, ...call }), options);
