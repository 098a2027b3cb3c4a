/** What the rows of COCO results that a model gave are called on disk. */
export function resultsFile(proposals: boolean): string {
  return proposals ? 'box_proposals.json' : 'coco_instances_results.json';
}
