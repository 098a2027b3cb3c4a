import { expect, it } from 'vitest';
import { getConfig } from '../../src/config/index.js';
import { zooModels } from '../../src/model_zoo/index.js';
import { dataSetClassNames } from '../../src/model_zoo/data_set_classes.js';

it('the models for Cityscapes and Pascal VOC have the names of their classes', () => {
  const others = zooModels.filter(({ dataset }) => dataset !== 'COCO' && !dataset.startsWith('LVIS'));
  expect(others).toHaveLength(2);
  for (const { name } of others) {
    const { DATASETS, MODEL } = getConfig(name);
    const names = dataSetClassNames(DATASETS.TRAIN[0])!;
    expect(new Set(names).size, name).toBe(MODEL.ROI_HEADS.NUM_CLASSES);
  }
  expect(dataSetClassNames('cityscapes_fine_instance_seg_train')![1]).toBe('rider');
  expect(dataSetClassNames('voc_2007_trainval')![14]).toBe('person');
  expect(dataSetClassNames('coco_2017_train')).toBeUndefined();
  expect(dataSetClassNames('lvis_v0.5_train')).toBeUndefined();
  expect(dataSetClassNames(undefined)).toBeUndefined();
});
