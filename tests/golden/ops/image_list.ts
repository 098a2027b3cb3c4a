import { makeImageList } from '../../../src/structures/image_list.js';
import { toNchw, toNhwc } from '../layout.js';
import { NOT_YET, Unsupported } from '../unsupported.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** Padding of several pictures to one size. The project pads zeros, to a multiple of the stride only. */
export const imageList: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView): Promise<Record<string, OpsOutput>> {
    const tensors = Object.keys(view.golden.inputs).map((n) => view.input(n));
    if (view.golden.params['padding_constraints']) throw new Unsupported(`padding to a square is ${NOT_YET}`);
    if (view.required<number>('pad_value') !== 0 || tensors.some((t) => t.shape.length !== 3))
      throw new Unsupported(`padding of label maps is ${NOT_YET}`);
    const pictures = tensors.map((t) => {
      const { shape, data } = toNhwc({ shape: [1, ...t.shape], data: t.data });
      return { height: shape[1], width: shape[2], bytes: new Uint8Array(data.buffer) };
    });
    // Our list takes bytes, the golden's pictures are floats: each of a float's four bytes goes through as a picture of its own.
    const planes = [0, 1, 2, 3].map((k) => {
      const images = pictures.map((p) => ({ ...p, data: p.bytes.filter((_, i) => i % 4 === k) }));
      return makeImageList(images, [0, 0, 0], [1, 1, 1], view.required<number>('size_divisibility'));
    });
    const bytes = new Uint8Array(planes[0].values.length * 4);
    planes.forEach(({ values }, k) => values.forEach((v, i) => (bytes[i * 4 + k] = v)));
    return {
      tensor: toNchw({ shape: planes[0].shape, data: new Float32Array(bytes.buffer) }),
      image_sizes: { value: planes[0].imageSizes },
    };
  },
};
