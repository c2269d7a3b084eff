import { defineConfig } from '@hey-api/openapi-ts';

export default defineConfig({
  input: process.env.READDRESS_OPENAPI ?? '../../openapi/readdress.json',
  output: { path: 'src/generated', importFileExtension: '.js' },
  // A password is only ever sent, and only in bodies that are: one type each, not one to write and one
  // to read.
  parser: { transforms: { readWrite: false } },
  plugins: [
    '@hey-api/client-fetch',
    { name: '@hey-api/typescript', enums: 'javascript' },
    '@hey-api/sdk',
  ],
});
