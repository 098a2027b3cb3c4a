import { readFileSync } from 'node:fs';

// What the manifests are checked by: the published fields, and what the servers ask for beyond them.

interface Published {
  readonly definitions: Readonly<Record<string, object>>;
}
const { definitions } = JSON.parse(
  readFileSync(new URL('../fixtures/cluster/schemas.json', import.meta.url), 'utf8'),
) as Published;

/** A DNS label, as names of objects, containers and volumes are. */
const label = { type: 'string', pattern: '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$' };
const named = { properties: { name: label }, required: ['name'] };
/** A resource is one of the system's own, or belongs to a domain. */
const quantities = { propertyNames: { pattern: '^(cpu|memory|ephemeral-storage|hugepages-.+|.+/.+)$' } };
const atLeast = (minimum: number) => ({ minimum });

/** @param policies what the owner of the pods lets a pod say; nothing where it sets its own */
const pod = (policies: readonly string[]) => ({
  properties: {
    spec: {
      properties: {
        containers: {
          items: {
            properties: {
              name: label,
              resources: { properties: { requests: quantities, limits: quantities } },
              volumeMounts: { items: { properties: { mountPath: { pattern: '^/' } } } },
            },
            required: ['image'],
          },
        },
        volumes: { items: { properties: { name: label } } },
        ...(policies.length > 0 ? { restartPolicy: { enum: policies } } : {}),
      },
      ...(policies.length > 0 ? { required: ['restartPolicy'] } : {}),
    },
  },
  required: ['spec'],
});
const replica = { properties: { replicas: atLeast(1), restartPolicy: { enum: ['Never', 'OnFailure'] }, template: pod([]) } };

/** What the servers check besides. */
const RULES: Readonly<Record<string, object>> = {
  Job: {
    properties: {
      completions: atLeast(1),
      parallelism: atLeast(0),
      backoffLimit: atLeast(0),
      template: pod(['Never', 'OnFailure']),
    },
  },
  MPIJob: {
    properties: { mpiReplicaSpecs: { properties: { Launcher: replica, Worker: replica }, required: ['Launcher', 'Worker'] } },
  },
};

/** JSON schemas (draft 7) by kind. */
export const SCHEMAS: Readonly<Record<string, object>> = Object.fromEntries(
  Object.entries(RULES).map(([kind, spec]) => [
    kind,
    {
      definitions,
      allOf: [{ $ref: `#/definitions/${kind}` }, { properties: { metadata: named, spec }, required: ['metadata', 'spec'] }],
    },
  ]),
);
