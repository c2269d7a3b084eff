import { defineConfig } from '@hey-api/openapi-ts';

export default defineConfig({
  input: process.env.READDRESS_OPENAPI ?? '../../openapi/readdress.json',
  output: { path: 'src/generated', importFileExtension: '.js' },
  plugins: [
    '@hey-api/client-fetch',
    { name: '@hey-api/typescript', enums: 'javascript' },
    '@hey-api/sdk',
  ],
});
