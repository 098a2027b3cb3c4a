import { padLabels } from '../../../src/semantic/pad_labels.js';
import { makeImageList } from '../../../src/structures/image_list.js';
import { toNchw, toNhwc } from '../layout.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

interface Padding {
  size_divisibility?: number;
  square_size?: number;
}

/**
 * Padding of several pictures, or label maps, to one size. Ours takes bytes and the golden's values are floats: each of a float's four bytes goes
 * through as a picture of its own.
 */
export const imageList: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView): Promise<Record<string, OpsOutput>> {
    const tensors = Object.keys(view.golden.inputs).map((n) => view.input(n));
    const padding = view.golden.params['padding_constraints'] as Padding | null | undefined;
    const divisibility = padding?.size_divisibility ?? view.required<number>('size_divisibility');
    const options = { sizeDivisibility: divisibility, squareSize: padding?.square_size ?? 0 };
    const isMap = tensors.every((t) => t.shape.length === 2);
    const pictures = tensors.map((t) => {
      const { shape, data } = isMap
        ? { shape: [1, ...t.shape, 1], data: Float32Array.from(t.data) }
        : toNhwc({ shape: [1, ...t.shape], data: t.data });
      return { height: shape[1]!, width: shape[2]!, bytes: new Uint8Array(data.buffer) };
    });
    const blank = pictures.map(({ height, width }) => ({ height, width, data: new Uint8Array(height * width * 3) }));
    const { shape, imageSizes } = makeImageList(blank, [0, 0, 0], [1, 1, 1], options);
    const margin = new Uint8Array(Float32Array.of(view.required<number>('pad_value')).buffer);
    const planes = [0, 1, 2, 3].map((k) => {
      const images = pictures.map((p) => ({ ...p, data: p.bytes.filter((_, i) => i % 4 === k) }));
      if (isMap) return padLabels(images, [shape[1], shape[2]], margin[k]!);
      return makeImageList(images, [0, 0, 0], [1, 1, 1], options).values;
    });
    const bytes = new Uint8Array(planes[0]!.length * 4);
    planes.forEach((values, k) => values.forEach((v, i) => (bytes[i * 4 + k] = v)));
    const data = new Float32Array(bytes.buffer);
    const padded = isMap ? { shape: shape.slice(0, 3), data } : toNchw({ shape, data });
    return { tensor: padded, image_sizes: { value: imageSizes } };
  },
};
