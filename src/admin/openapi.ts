/** What the OpenAPI document says besides the routes. */
export const openApiInfo = {
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'Chancery admin API',
      version: '1',
      description:
        'Policies, releases, services, grants, issuers, nodes and tokens. Every change is one commit of the journal. ' +
        'A change of an object needs If-Match or If-None-Match: *; errors are application/problem+json (RFC 9457).',
    },
    components: {
      securitySchemes: {
        bearer: { type: 'http' as const, scheme: 'bearer', description: 'an API token: chy_<id>.<secret>' },
        enrolmentToken: {
          type: 'http' as const,
          scheme: 'bearer',
          description: 'an enrolment token of a node: chn_<id>.<secret>; good for one certificate',
        },
        nodeCertificate: {
          type: 'mutualTLS',
          description: 'the TLS connection shows the certificate of a node that was enrolled here',
          // OpenAPI 3.1 has it; the types are those of 3.0
        } as unknown as { type: 'openIdConnect'; openIdConnectUrl: string },
      },
    },
    security: [{ bearer: [] }],
  },
  refResolver: {
    // The components are named as the schemas are, not def-0, def-1 …
    buildLocalReference: (
      schema: { readonly $id?: unknown },
      _base: unknown,
      _part: string,
      index: number,
    ): string => (typeof schema.$id === 'string' ? schema.$id : `Schema${index}`),
  },
};
