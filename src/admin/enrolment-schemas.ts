import { Type } from 'typebox';
import { MAX_REQUEST_CHARACTERS } from '../identity/certificate-request.ts';
import { MAX_ENROLMENT_SECONDS } from '../identity/enrolment.ts';
import { nameSchema } from '../registry/model.ts';

const timestamp = (description: string) => Type.String({ format: 'date-time', description });

export const DEFAULT_ENROLMENT_SECONDS = 3_600;

export const newEnrolmentTokenSchema = Type.Object(
  {
    expiresInSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_ENROLMENT_SECONDS,
        description: `how long it can be used; default: ${DEFAULT_ENROLMENT_SECONDS}`,
      }),
    ),
  },
  { additionalProperties: false },
);

export const enrolmentTokenSchema = Type.Object(
  {
    id: Type.String(),
    node: nameSchema,
    token: Type.String({ description: 'for `chancery node enrol`; it cannot be read again' }),
    expiresAt: timestamp('when it ends'),
  },
  { additionalProperties: false },
);

export const certificateRequestSchema = Type.Object(
  {
    csr: Type.String({
      minLength: 1,
      maxLength: MAX_REQUEST_CHARACTERS,
      description:
        'PKCS#10, PEM, for a key that is ECDSA (P-256, P-384) or RSA (2048 to 4096 bits); names in it mean nothing',
    }),
  },
  { additionalProperties: false },
);

export const nodeCertificateSchema = Type.Object(
  {
    node: nameSchema,
    certificate: Type.String({
      description: 'PEM; for TLS clients, and its one name is `spiffe://<instance>/node/<id>`',
    }),
    authorities: Type.String({ description: 'PEM: the authorities of certificates of nodes' }),
    configurationKey: Type.String({
      description: 'PEM, Ed25519: with which the configurations are signed that the node keeps',
    }),
    notAfter: timestamp('when it ends: 24 hours after it was issued'),
    renewAfter: timestamp('when it should be renewed: after two thirds of its life'),
  },
  { additionalProperties: false },
);
