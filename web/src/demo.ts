// What the pages know of a demo. Where `index.html` has a comment, `readdress dev` puts
// `<meta name="readdress-demo" content="/dev/mailbox" data-email="…" data-password="…">`; everywhere
// else there is none, and nothing is asked.

export interface Demo {
  /** The path of the page that shows every mail. */
  mailbox: string;
  /** Whom to sign in as, where the service says so. */
  user: { email: string; password: string } | undefined;
}

/** Undefined when this is no demo. */
export function demo(): Demo | undefined {
  const marker = document.querySelector<HTMLMetaElement>('meta[name="readdress-demo"]');
  if (!marker?.content) {
    return undefined;
  }
  const { email, password } = marker.dataset;
  return { mailbox: marker.content, user: email && password ? { email, password } : undefined };
}
