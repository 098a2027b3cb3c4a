/** Inputs: `x` [N, H, W, C] and `filter` [kh, kw, C / groups, K]; output [N, H', W', K]. Registered where a backend convolves groups directly. */
export const GROUPED_CONV2D = 'GroupedConv2d';

/** Inputs: `dy` [N, H', W', K], `x` and `filter`; output: the gradient of `x`. */
export const GROUPED_CONV2D_INPUT_GRAD = 'GroupedConv2dInputGrad';

/** Inputs as of {@link GROUPED_CONV2D_INPUT_GRAD}; output: the gradient of `filter`. */
export const GROUPED_CONV2D_FILTER_GRAD = 'GroupedConv2dFilterGrad';

/** The attributes of all three. */
export interface GroupedConvAttributes {
  readonly groups: number;
  readonly stride: number;
  /** Zeros above and to the left; below and to the right are as many as the output reaches. */
  readonly padding: readonly [number, number];
  /** Height and width of the output. */
  readonly outShape: readonly [number, number];
}
