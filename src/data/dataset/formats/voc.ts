import { join } from 'node:path';
import { XMLParser } from 'fast-xml-parser';
import { DatasetError } from '../../../errors.js';
import { DatasetBuilder, type ImportedDataset } from './dataset_builder.js';
import { asNumber, asObject, filesOf, readText, counted, type FilesDone } from './read_files.js';

/**
 * Pascal VOC: an XML file for each picture. VOC counts pixels from 1 and includes the last one, so a box xmin = 1, xmax = 10 becomes x = 0, width = 10.
 * `difficult`, `truncated`, `occluded` and `pose` are kept as members of the annotation.
 */
export async function importVoc(folder: string, tick?: FilesDone): Promise<ImportedDataset> {
  const builder = new DatasetBuilder();
  const parser = new XMLParser({ parseTagValue: false, processEntities: true, isArray: (name) => name === 'object' });
  for (const name of counted(await filesOf(folder, ['.xml']), tick)) {
    const file = join(folder, name);
    const text = await readText(file);
    let document: unknown;
    try {
      document = parser.parse(text, true);
    } catch (error) {
      throw new DatasetError(`${file} is not valid XML: ${(error as Error).message}`, { cause: error });
    }
    const { annotation } = asObject(document, file);
    const root = asObject(annotation ?? null, `${file}: annotation`);
    const size = asObject(root['size'] ?? null, `${file}: size`);
    const picture = root['filename'];
    if (typeof picture !== 'string' || picture === '') throw new DatasetError(`${file} has no filename.`);
    const id = builder.addImage(
      picture,
      asNumber(size['width'], `${file}: size.width`),
      asNumber(size['height'], `${file}: size.height`),
    );
    for (const [n, value] of ((root['object'] ?? []) as unknown[]).entries()) {
      const at = `${file}: object ${n}`;
      const object = asObject(value, at);
      if (typeof object['name'] !== 'string' || object['name'] === '') throw new DatasetError(`${at} has no name.`);
      const box = asObject(object['bndbox'] ?? null, `${at}: bndbox`);
      const corner = (key: string): number => asNumber(box[key], `${at}: bndbox.${key}`);
      const [x, y] = [corner('xmin') - 1, corner('ymin') - 1];
      const extra: Record<string, unknown> = {};
      for (const key of ['difficult', 'truncated', 'occluded']) if (object[key] !== undefined) extra[key] = Number(object[key]);
      if (object['pose'] !== undefined) extra['pose'] = object['pose'];
      builder.addBox(id, object['name'], [x, y, corner('xmax') - x, corner('ymax') - y], at, extra);
    }
  }
  return builder.finish();
}
