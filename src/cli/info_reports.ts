import { existsSync, statSync } from 'node:fs';
import {
  dumpConfig,
  explainKey,
  getConfig,
  publishedConfigNames,
  publishedName,
  resolveConfig,
  unsupportedSettings,
} from '../config/index.js';
import { ArgumentError, MaskRcnnError } from '../errors.js';
import { cacheFolder, imageNetBackbones, unsupportedInZooModel, zooModels, type ZooModel } from '../model_zoo/index.js';
import { cachePath } from '../model_zoo/fetch_weights.js';
import { nearestNames } from '../nearest_names.js';

/** The same facts for a person and for a program. */
export interface InfoReport {
  text: string;
  json: unknown;
  warnings?: string[];
}

/**
 * What `maskrcnn info` prints of something.
 * @throws ArgumentError where it is none of the things that info knows
 */
export async function describe(
  what: string,
  overrides: readonly string[] = [],
  { verify = false }: { verify?: boolean } = {},
): Promise<InfoReport> {
  if (verify && what !== 'zoo')
    throw new ArgumentError('--verify goes with zoo; maskrcnn convert --config says how one weight file fits.');
  const isConfig = /\.ya?ml$/i.test(what) || publishedName(what) !== undefined;
  if (overrides.length > 0 && !isConfig) throw new ArgumentError(`KEY=VALUE goes with a configuration only, not with ${what}`);
  if (what === 'zoo') return describeZoo(verify);
  if (what === 'backends') return describeBackends();
  if (isConfig) return describeConfig(what, overrides);
  if (existsSync(what)) return describeWeights(what);
  if (/^[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)*$/.test(what)) return describeKey(what);
  const near = nearestNames(what, ['zoo', 'backends', ...publishedConfigNames()]).join(', ');
  throw new ArgumentError(
    `${JSON.stringify(what)} is no file, no key such as MODEL.RPN, and no published model; did you mean ${near}? 'maskrcnn info zoo' lists the models`,
  );
}

async function describeZoo(verify: boolean): Promise<InfoReport> {
  const cache = cacheFolder();
  const models = [];
  for (const model of zooModels) {
    const unsupported = unsupportedInZooModel(model);
    const path = cachePath(model.url, cache);
    const cached = existsSync(path);
    const supported = unsupported.length === 0;
    const verified = verify && cached && supported ? await verifyZooModel(model, path) : undefined;
    models.push({ ...model, supported, unsupported, cached, ...(verified === undefined ? {} : { verified }) });
  }
  const rows = models.map((m) => [
    m.name,
    accuracy(m),
    m.supported ? 'yes' : `no (${m.unsupported.join('; ')})`,
    m.verified ?? (m.cached ? 'yes' : ''),
  ]);
  const backbones = imageNetBackbones.map((b) => ({ ...b, cached: existsSync(cachePath(b.url, cache)) }));
  const text = [
    ...table(
      ['MODEL', 'ACCURACY', 'CACHED', 'RUNS HERE'],
      rows.map(([name, ap, runs, cached]) => [name, ap, cached, runs]),
    ),
    '',
    ...table(
      ['IMAGENET BACKBONE (--weights of maskrcnn train)', 'PIXELS', 'CACHED'],
      backbones.map(({ name, settings, cached }) => [
        name,
        `${settings.format}, std ${settings.pixelStd.join(' ')}`,
        cached ? 'yes' : '',
      ]),
    ),
    '',
    `Weights: ${models[0].licence}, published by Detectron2; downloaded on first use into ${cache} (MASKRCNN_CACHE).`,
    '',
  ].join('\n');
  return { text, json: { cache, models, backbones } };
}

/** What a downloaded file's tensors say to its model. */
async function verifyZooModel({ name }: ZooModel, path: string): Promise<string> {
  const [{ verifyWeights }, { startBackend }] = await Promise.all([
    import('../engine/verify_weights.js'),
    import('../backends/select.js'),
  ]);
  await startBackend('cpu');
  try {
    return `all ${await verifyWeights(getConfig(name), path)} tensors fit`;
  } catch (error) {
    if (error instanceof MaskRcnnError) return `does not fit: ${error.message}`;
    throw error;
  }
}

function accuracy(model: ZooModel): string {
  const parts: [string, number | undefined][] = [
    ['box AP', model.boxAp],
    ['mask AP', model.maskAp],
    ['keypoint AP', model.keypointAp],
    ['PQ', model.panopticQuality],
    ['AR', model.proposalAr],
  ];
  const on = model.dataset === 'COCO' ? '' : ` (${model.dataset})`;
  const text = parts
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${value!.toFixed(1)}`)
    .join(', ');
  return `${text}${on}`;
}

function describeConfig(source: string, overrides: readonly string[]): InfoReport {
  const { config, warnings } = resolveConfig(source, overrides);
  const unsupported = unsupportedSettings(config);
  const zoo = zooModels.find(({ name }) => name === publishedName(source));
  const head = [
    ...(zoo ? [`# ${zoo.name}: ${accuracy(zoo)}; ${zoo.licence}`, `# ${zoo.url}`] : []),
    unsupported.length === 0 ? '# This model runs here.' : `# This model does not run here yet: ${unsupported.join('; ')}`,
  ];
  return {
    text: `${head.join('\n')}\n${dumpConfig(config)}`,
    json: { source, ...(zoo && { zoo }), unsupported, warnings, config },
    warnings,
  };
}

function describeKey(key: string): InfoReport {
  const keys = explainKey(key);
  const text = keys
    .map((k) => {
      const more = [
        k.choices && `one of ${k.choices.map((c) => `"${c}"`).join(', ')}`,
        k.ignored && `no effect here: ${k.ignored}`,
      ];
      return [`${k.key} (${k.type}, default ${JSON.stringify(k.default)})`, k.description, ...more.filter(Boolean)].join(
        '\n    ',
      );
    })
    .join('\n');
  return { text: `${text}\n`, json: keys };
}

async function describeWeights(path: string): Promise<InfoReport> {
  if (statSync(path).isDirectory()) throw new ArgumentError(`${path} is a folder: name the weight file or the config.yaml in it`);
  const { readCheckpoint } = await import('../checkpoint/read.js');
  const { format, tensors, metadata, ignored } = await readCheckpoint(path);
  const list = [...tensors].map(([name, { shape, dtype }]) => ({ name, shape, dtype }));
  const values = list.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const bytes = statSync(path).size;
  const text = [
    `${path}: ${format}, ${(bytes / 1e6).toFixed(1)} MB, ${list.length} tensors, ${values} values`,
    ...Object.entries(metadata).map(([key, value]) => `  ${key}: ${value.length > 100 ? `${value.slice(0, 97)}...` : value}`),
    ...(ignored.length > 0 ? [`  not weights of a model here: ${ignored.join(', ')}`] : []),
    ...table(
      ['TENSOR', 'SHAPE', 'TYPE'],
      list.map(({ name, shape, dtype }) => [name, `[${shape.join(', ')}]`, dtype]),
    ),
    '',
  ].join('\n');
  return { text, json: { source: path, format, bytes, values, metadata, ignored, tensors: list } };
}

async function describeBackends(): Promise<InfoReport> {
  const { startBackend, DEVICES } = await import('../backends/select.js');
  const devices: { device: string; works: boolean; description: string }[] = [];
  for (const device of DEVICES) {
    if (device === 'auto') continue;
    try {
      devices.push({ device, works: true, description: (await startBackend(device)).description });
    } catch (error) {
      devices.push({ device, works: false, description: (error as Error).message });
    }
  }
  const rows = devices.map(({ device, works, description }) => [device, works ? 'yes' : 'no', description]);
  return { text: `${table(['DEVICE', 'WORKS', ''], rows).join('\n')}\n`, json: devices };
}

function table(head: string[], rows: string[][]): string[] {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  return [head, ...rows].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd(),
  );
}
