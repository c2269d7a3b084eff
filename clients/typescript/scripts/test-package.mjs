// Packs the package and installs it into a fresh Vite project, as a user would, with the code of the
// README as that project's source. It must type-check with `strict`, with and without `skipLibCheck`,
// by the oldest and the newest compiler that we promise, and build. Needs the npm registry.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const COMPILERS = { 'typescript-5': '5.9.3', 'typescript-7': '7.0.2' };

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const project = mkdtempSync(join(tmpdir(), 'readdress-client-'));
const run = (command, ...args) => {
  console.log(`$ ${command} ${args.join(' ')}`);
  execFileSync(command, args, { cwd: project, stdio: 'inherit' });
};
const write = (path, content) => {
  mkdirSync(dirname(join(project, path)), { recursive: true });
  writeFileSync(join(project, path), content);
};

/** The code blocks of the README that name their file in the first line. */
function readmeFiles() {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/```tsx?\n\/\/ (src\/\S+)\n([\s\S]*?)```/g)];
  if (blocks.length !== readme.match(/```tsx?\n/g).length) {
    throw new Error('README.md: each ts and tsx block must begin with the path of its file');
  }
  return blocks.map(([, path, code]) => [path, code]);
}

/** What the README takes for granted in the application. */
const APPLICATION = {
  'index.html': '<div id="root"></div><script type="module" src="/src/main.tsx"></script>',
  'src/session.ts': "export const accessToken = () => 'token of your session';",
  'src/App.tsx': `
    import * as pages from './email-change/pages';
    import { ChangeEmail } from './email-change/Settings';
    import { sendLink } from './without-react';
    const routes: Record<string, () => React.ReactNode> = {
      '/new-email': pages.NewEmailPage,
      '/email-activation': pages.EmailActivationPage,
      '/cancel-email-change': pages.CancelEmailChangePage,
      '/undo-email-change': pages.UndoEmailChangePage,
    };
    export function App() {
      const Page = routes[window.location.pathname];
      return Page ? <Page /> : <ChangeEmail email={String(sendLink.name)} />;
    }`,
};

try {
  const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', project], {
    cwd: root,
  });
  const [{ filename, files, unpackedSize }] = JSON.parse(packed.toString().replace(/^[^[]*/, ''));
  const strangers = files
    .map((file) => file.path)
    .filter((path) => !/^(dist\/|README|package|LICENSE-)/.test(path));
  if (strangers.length > 0) {
    throw new Error(`these do not belong into the package: ${strangers.join(', ')}`);
  }
  for (const licence of ['LICENSE-MIT', 'LICENSE-APACHE']) {
    if (!files.some((file) => file.path === licence)) {
      throw new Error(`${licence} is missing in the package`);
    }
  }
  console.log(`${filename}: ${files.length} files, ${unpackedSize} bytes unpacked`);

  write('package.json', JSON.stringify({ private: true, type: 'module' }));
  for (const [path, content] of [...Object.entries(APPLICATION), ...readmeFiles()]) {
    write(path, content);
  }
  const options = {
    target: 'es2023',
    lib: ['es2023', 'dom', 'dom.iterable'],
    types: [],
    module: 'esnext',
    moduleResolution: 'bundler',
    jsx: 'react-jsx',
    strict: true,
    verbatimModuleSyntax: true,
    noUnusedLocals: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
  };
  write('tsconfig.json', JSON.stringify({ compilerOptions: options, include: ['src'] }));

  const tools = [
    'react',
    'react-dom',
    '@types/react',
    '@types/react-dom',
    '@tanstack/react-query',
    'vite',
  ];
  run(
    'npm',
    'install',
    '--no-audit',
    '--no-fund',
    `./${filename}`,
    ...tools.map((name) => `${name}@${devDependencies[name]}`),
    ...Object.entries(COMPILERS).map(([alias, version]) => `${alias}@npm:typescript@${version}`),
  );
  for (const compiler of Object.keys(COMPILERS)) {
    for (const skipLibCheck of ['true', 'false']) {
      run('node', `node_modules/${compiler}/bin/tsc`, '--skipLibCheck', skipLibCheck);
    }
  }
  run('node', 'node_modules/vite/bin/vite.js', 'build', '--logLevel', 'error');
  console.log('The package installs, type-checks and builds.');
} finally {
  rmSync(project, { recursive: true, force: true });
}
