// Any path that has no page.
import { ActionLink, Page } from '../parts/page';
import { texts } from '../texts';

export function NotFound() {
  return (
    <Page title={texts.notFound.title} tone="bad">
      <p>{texts.notFound.text}</p>
      <ActionLink href="/">{texts.link.toSettings}</ActionLink>
    </Page>
  );
}
