// Imported before everything else: the token of the link leaves the address bar before any other
// code of the page runs.
import { takeToken } from '@readdress/client';

takeToken();
