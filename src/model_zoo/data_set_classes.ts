const CITYSCAPES = ['person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle'];
const PASCAL_VOC =
  'aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant sheep sofa train tvmonitor'.split(
    ' ',
  );

/** Beginnings of Detectron2's names of data sets other than COCO, with their classes in its order. */
const DATA_SETS: readonly [string, readonly string[]][] = [
  ['cityscapes_fine_instance_seg_', CITYSCAPES],
  ['voc_20', PASCAL_VOC],
];

/** The classes of a data set of Detectron2's, COCO left out, by the name in `DATASETS.TRAIN`; undefined for others, and for the 1230 of LVIS, which its files name. */
export function dataSetClassNames(name: string | undefined): readonly string[] | undefined {
  return name === undefined ? undefined : DATA_SETS.find(([beginning]) => name.startsWith(beginning))?.[1];
}
