// The sentence for whatever went wrong. Exhaustive: a new `code` in the document is a type error here.
import type { Problem } from '@readdress/client';
import { texts } from './texts';

export function sentence({ code, retry_after, request_id }: Problem): string {
  const say = texts.problems;
  switch (code) {
    case 'malformed_request':
      return say.malformedRequest;
    case 'invalid_link':
      return say.invalidLink;
    case 'unauthenticated':
      return say.unauthenticated;
    case 'wrong_password':
      return say.wrongPassword;
    case 'not_found':
      return say.notFound;
    case 'method_not_allowed':
      return say.methodNotAllowed;
    case 'request_timeout':
      return say.requestTimeout;
    case 'email_taken':
      return say.emailTaken;
    case 'link_expired':
      return say.linkExpired;
    case 'link_used':
      return say.linkUsed;
    case 'payload_too_large':
      return say.payloadTooLarge;
    case 'unsupported_media_type':
      return say.unsupportedMediaType;
    case 'invalid_email':
      return say.invalidEmail;
    case 'same_email':
      return say.sameEmail;
    case 'undeliverable':
      return say.undeliverable;
    case 'rate_limited':
      return say.rateLimited(retry_after);
    case 'internal':
      return say.internal(request_id);
    case 'overloaded':
      return say.overloaded(retry_after);
    case 'mail_unavailable':
      return say.mailUnavailable(retry_after);
    case 'database_unavailable':
      return say.databaseUnavailable(retry_after);
    case 'network_error':
      return say.networkError;
    case 'unexpected_response':
      return say.unexpectedResponse;
    default:
      return code satisfies never;
  }
}
