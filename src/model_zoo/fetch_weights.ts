import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic_file.js';
import { ZooError } from '../errors.js';
import { CATALOG, type ImageNetBackbone, imageNetBackbones } from './backbones.js';
import { cacheFolder } from './cache_folder.js';
import { download, hashFile, type DownloadOptions, type DownloadRecord } from './download.js';
import { DETECTRON2_URL, zooModel, zooModels } from './manifest.js';

/** How weights are found and kept. */
export interface FetchOptions extends Omit<DownloadOptions, 'md5Prefix'> {
  /** Folder for downloads; the default is MASKRCNN_CACHE or the system's folder for caches. */
  cache?: string;
  /** Use what is in the cache, never the network (default: whether MASKRCNN_OFFLINE is set). */
  offline?: boolean;
  /** A mirror of Detectron2's folder of models, ending in a slash. */
  mirror?: string;
}

/**
 * The path of a weight file on this machine, downloaded into the cache where it is not there yet, and checked against what was recorded.
 * @param reference a path, the name of a published model or ImageNet backbone, `https://...`, `detectron2://...` or `catalog://...` (as in MODEL.WEIGHTS)
 * @throws ZooError on an unknown name, a failed download, a damaged cached file, or a missing one when offline
 */
export async function fetchWeights(reference: string, options: FetchOptions = {}): Promise<string> {
  if (existsSync(reference)) return reference;
  const { url, md5Prefix } = addressOf(reference);
  const target = cachePath(url, options.cache ?? cacheFolder());
  if (existsSync(target)) {
    await checkCached(target, url, md5Prefix);
    return target;
  }
  if (options.offline ?? Boolean(process.env.MASKRCNN_OFFLINE))
    throw new ZooError(`${reference} is not in the cache and the network is off; download ${url} and save it as ${target}`);
  const from = options.mirror && url.startsWith(DETECTRON2_URL) ? options.mirror + url.slice(DETECTRON2_URL.length) : url;
  await download(from, target, { ...options, md5Prefix });
  return target;
}

/** The web address of a reference, and what its publisher tells of the file's MD5. */
export function addressOf(reference: string): { url: string; md5Prefix?: string } {
  const scheme = /^([a-z0-9]+):\/\/(.*)$/i.exec(reference);
  const url = scheme
    ? addressOfScheme(scheme[1].toLowerCase(), scheme[2], reference)
    : (backboneOf(reference)?.url ?? zooModel(reference).url);
  return { url, md5Prefix: zooModels.find((model) => model.url === url)?.md5Prefix };
}

/** The ImageNet backbone of this name or address; undefined for anything else. */
export function backboneOf(reference: string): ImageNetBackbone | undefined {
  const [, scheme, rest] = /^(?:(detectron2|catalog):\/\/)?(.*?)(?:\.pkl)?$/.exec(reference) ?? [];
  return imageNetBackbones.find(
    ({ name, url }) => url === reference || (rest === name && (scheme !== 'detectron2' || url.startsWith(DETECTRON2_URL))),
  );
}

function addressOfScheme(scheme: string, rest: string, reference: string): string {
  if (scheme === 'http' || scheme === 'https') return reference;
  if (scheme === 'detectron2') return DETECTRON2_URL + rest;
  if (scheme !== 'catalog') throw new ZooError(`${reference}: only https://, detectron2:// and catalog:// addresses are known`);
  if (!Object.hasOwn(CATALOG, rest)) throw new ZooError(`${reference}: the catalogue holds ${Object.keys(CATALOG).join(', ')}`);
  return CATALOG[rest];
}

/** The cache mirrors the address: host, then path; so files of one name do not meet. */
export function cachePath(url: string, cache: string): string {
  const { host, pathname } = new URL(url);
  const segments = pathname.split('/').filter((segment) => segment !== '');
  return join(cache, ...[host, ...segments].map((segment) => segment.replaceAll(/[^A-Za-z0-9._-]/g, '_')));
}

async function checkCached(path: string, url: string, md5Prefix: string | undefined): Promise<void> {
  const record = await readRecord(`${path}.json`);
  const { size } = await stat(path);
  const damaged = (why: string) =>
    new ZooError(`${path} is not the file that was downloaded from ${url}: ${why}; delete it and it is downloaded again`);
  if (record && record.size !== size) throw damaged(`it has ${size} bytes, recorded are ${record.size}`);
  const hashes = await hashFile(path);
  if (record) {
    if (hashes.sha256 !== record.sha256) throw damaged(`its SHA-256 is ${hashes.sha256}, recorded is ${record.sha256}`);
    return;
  }
  // Laid there by hand: the publisher's own check is all there is, and it is recorded from now on.
  if (md5Prefix && !hashes.md5.startsWith(md5Prefix)) throw damaged(`its MD5 is ${hashes.md5}, published is ${md5Prefix}...`);
  await writeFileAtomic(
    `${path}.json`,
    `${JSON.stringify({ url, size, sha256: hashes.sha256 } satisfies DownloadRecord, null, 2)}\n`,
  );
}

async function readRecord(path: string): Promise<DownloadRecord | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as DownloadRecord;
  } catch {
    return undefined;
  }
}
