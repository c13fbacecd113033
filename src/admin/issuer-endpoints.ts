/** The issuers whose tokens are believed, over REST. */
import { Type } from 'typebox';
import { deleteIssuer, putIssuer } from '../identity/commit.ts';
import { issuerSchema } from '../identity/model.ts';
import type { IssuersView } from '../identity/state.ts';
import { nameSchema } from '../registry/model.ts';
import type { Endpoint } from './endpoint.ts';
import { type ObjectDeps, objectEndpoints } from './object-endpoints.ts';

export interface IssuerDeps extends ObjectDeps {
  readonly issuers: IssuersView;
}

export function issuerEndpoints(deps: IssuerDeps): readonly Endpoint[] {
  const { issuers } = deps;
  return objectEndpoints(
    {
      noun: 'Issuer',
      tag: 'issuers',
      url: '/v1/issuers',
      params: Type.Object({ name: nameSchema }),
      schema: issuerSchema,
      port: {
        get: ({ name }) => issuers.get(name),
        list: () => issuers.list(),
        put: ({ name }, issuer) => putIssuer(issuers, name, issuer),
        remove: ({ name }) => deleteIssuer(issuers, name),
      },
    },
    deps,
  );
}
