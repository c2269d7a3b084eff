// Which page is at which path. Links between pages load them anew: with one small bundle that is
// instant, and the browser's own history keeps each link's token with its entry.
import { client } from '@readdress/client';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { CancelEmailChange } from './pages/cancel-email-change';
import { EmailActivation } from './pages/email-activation';
import { NewEmail } from './pages/new-email';
import { NotFound } from './pages/not-found';
import { Settings } from './pages/settings';
import { UndoEmailChange } from './pages/undo-email-change';
import { Frame } from './parts/frame';
import { accessToken } from './session';

// The pages are on the origin of the service.
client.setConfig({ baseUrl: window.location.origin, auth: accessToken });

const PAGES: Record<string, () => ReactNode> = {
  '/': Settings,
  '/new-email': NewEmail,
  '/email-activation': EmailActivation,
  '/cancel-email-change': CancelEmailChange,
  '/undo-email-change': UndoEmailChange,
};

export function App({ path }: { path: string }) {
  const [queries] = useState(() => new QueryClient());
  const Page = PAGES[path] ?? NotFound;
  return (
    <QueryClientProvider client={queries}>
      <Frame>
        <Page />
      </Frame>
    </QueryClientProvider>
  );
}
