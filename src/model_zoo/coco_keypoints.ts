/** The keypoints of COCO's persons, in their order. */
export const cocoKeypointNames: readonly string[] = (
  'nose,left_eye,right_eye,left_ear,right_ear,left_shoulder,right_shoulder,left_elbow,right_elbow,' +
  'left_wrist,right_wrist,left_hip,right_hip,left_knee,right_knee,left_ankle,right_ankle'
).split(',');
