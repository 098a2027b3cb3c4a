// The parts of Kubernetes' batch/v1 Job (1.33 and later) and of Kubeflow's v2beta1 MPIJob that the manifests use, and nothing else: a field that
// is not here is an error, so that a misspelt one is found without a cluster.

const object = (properties: Record<string, object>, required: readonly string[] = []) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});
const list = (items: object) => ({ type: 'array', items, minItems: 1 });
/** A DNS label, as names of objects, containers and volumes are. */
const label = { type: 'string', pattern: '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$' };
const text = { type: 'string', minLength: 1 };
const atLeast = (minimum: number) => ({ type: 'integer', minimum });
const quantities = object({
  cpu: { type: 'string', pattern: '^[0-9]+(\\.[0-9]+)?m?$' },
  memory: { type: 'string', pattern: '^[0-9]+(Ki|Mi|Gi|Ti)$' },
});

const container = object(
  {
    name: label,
    image: text,
    command: list(text),
    args: list(text),
    resources: object({ requests: quantities, limits: quantities }),
    volumeMounts: list(object({ name: label, mountPath: { type: 'string', pattern: '^/' } }, ['name', 'mountPath'])),
  },
  ['name', 'image'],
);
const volume = object({ name: label, persistentVolumeClaim: object({ claimName: text }, ['claimName']) }, ['name']);

/** @param restartPolicy what the owner of the pods allows; nothing where it sets its own */
const template = (restartPolicy: readonly string[]) =>
  object(
    {
      spec: object(
        {
          ...(restartPolicy.length > 0 ? { restartPolicy: { enum: restartPolicy } } : {}),
          containers: list(container),
          volumes: list(volume),
        },
        restartPolicy.length > 0 ? ['containers', 'restartPolicy'] : ['containers'],
      ),
    },
    ['spec'],
  );

const manifest = (apiVersion: string, kind: string, spec: object) =>
  object({ apiVersion: { const: apiVersion }, kind: { const: kind }, metadata: object({ name: label }, ['name']), spec }, [
    'apiVersion',
    'kind',
    'metadata',
    'spec',
  ]);

const replica = object({ replicas: atLeast(1), restartPolicy: { enum: ['Never', 'OnFailure'] }, template: template([]) }, [
  'replicas',
  'template',
]);

/** JSON schemas (draft 7) by kind. */
export const SCHEMAS: Readonly<Record<string, object>> = {
  Job: manifest(
    'batch/v1',
    'Job',
    object(
      {
        completionMode: { enum: ['Indexed', 'NonIndexed'] },
        completions: atLeast(1),
        parallelism: atLeast(0),
        backoffLimit: atLeast(0),
        backoffLimitPerIndex: atLeast(0),
        template: template(['Never', 'OnFailure']),
      },
      ['template'],
    ),
  ),
  MPIJob: manifest(
    'kubeflow.org/v2beta1',
    'MPIJob',
    object(
      {
        slotsPerWorker: atLeast(1),
        launcherCreationPolicy: { enum: ['AtStartup', 'WaitForWorkersReady'] },
        runPolicy: object({ cleanPodPolicy: { enum: ['None', 'Running', 'All'] }, backoffLimit: atLeast(0) }),
        mpiImplementation: { enum: ['OpenMPI', 'Intel', 'MPICH'] },
        mpiReplicaSpecs: object({ Launcher: replica, Worker: replica }, ['Launcher', 'Worker']),
      },
      ['mpiReplicaSpecs'],
    ),
  ),
};
