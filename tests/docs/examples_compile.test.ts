import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = ['README.md', ...readdirSync(join(root, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : []))];

/** What the examples take from the program around them. */
const given = join(root, 'given.d.ts');
const examples = new Map([
  [given, { code: 'declare const file: File;\ndeclare const canvas: HTMLCanvasElement;\n', at: 'the test' }],
]);
for (const page of pages) {
  const text = readFileSync(join(root, page), 'utf8');
  for (const match of text.matchAll(/```ts\n([\s\S]*?)```/g)) {
    const line = text.slice(0, match.index).split('\n').length;
    const file = join(root, `example_${examples.size}.ts`);
    examples.set(file, { code: match[1]!, at: `${page}:${line}` });
  }
}

it('every TypeScript example of the README and the guides compiles against the package', () => {
  expect(examples.size).toBeGreaterThanOrEqual(5);
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => readFileSync(path, 'utf8')) as {
    config: { compilerOptions: object };
  };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  Object.assign(options, { noUnusedLocals: false, incremental: false, tsBuildInfoFile: undefined });
  options.paths = { 'maskrcnn-ts': [join(root, 'src/index.ts')], 'maskrcnn-ts/*': [join(root, 'src/*/index.ts')] };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (path) => examples.has(path) || fileExists(path);
  host.readFile = (path) => examples.get(path)?.code ?? readFile(path);
  host.getSourceFile = (path, version, ...rest) => {
    const example = examples.get(path);
    return example ? ts.createSourceFile(path, example.code, version) : getSourceFile(path, version, ...rest);
  };
  const program = ts.createProgram([...examples.keys()], options, host);
  const problems = [...examples.keys()].flatMap((path) => {
    const source = program.getSourceFile(path)!;
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
      ({ start, messageText }) => {
        const { line } = source.getLineAndCharacterOfPosition(start ?? 0);
        return `${examples.get(path)!.at} line ${line + 1} of the example: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
      },
    );
  });
  expect(problems).toEqual([]);
});
