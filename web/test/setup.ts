// Every page is tested as it is mounted: under StrictMode, with a history and a storage of its own.
import '@testing-library/jest-dom/vitest';
import { cleanup, configure } from '@testing-library/react';
import { afterEach } from 'vitest';
import { endSession } from '../src/session';

// Patient, for slow machines: what is waited for mostly comes within milliseconds.
configure({ reactStrictMode: true, asyncUtilTimeout: 5_000 });

afterEach(() => {
  cleanup();
  endSession();
  document.head.querySelector('meta[name="readdress-demo"]')?.remove();
  window.history.pushState(null, '', '/');
});
