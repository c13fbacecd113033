import { type Static, Type } from 'typebox';

const NAME = '[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?';
const HOST = `^(?:(?:\\*\\.)?${NAME}(?:\\.${NAME})*|\\[[0-9A-Fa-f:.]+\\])(?::[0-9]{1,5})?$`;

/** `policy.httpSend` of the configuration. */
export const httpSendOptions = Type.Object(
  {
    allowedHosts: Type.Array(Type.String({ pattern: HOST, maxLength: 261 }), {
      minItems: 1,
      maxItems: 256,
      uniqueItems: true,
      description:
        'whom policies may ask, redirects included: `host`, `host:port` or `*.example.org`; without a port, the ' +
        "scheme's own. A name is trusted with whatever it resolves to: addresses are not checked",
    }),
    timeoutMs: Type.Integer({
      default: 5_000,
      minimum: 1,
      maximum: 60_000,
      description: 'of a request that names none; the deadline of the Check ends every request',
    }),
    maxResponseBytes: Type.Integer({
      default: 1_048_576,
      minimum: 1_024,
      maximum: 67_108_864,
      description: 'of a response, inflated; a larger one ends the evaluation, which is a denial',
    }),
    maxRedirects: Type.Integer({
      default: 5,
      minimum: 0,
      maximum: 20,
      description: 'of a request with `enable_redirect`; one more is an error of the built-in',
    }),
    maxRequests: Type.Integer({
      default: 16,
      minimum: 1,
      maximum: 256,
      description:
        'in one evaluation, which is begun again with each answer; all of that together costs no more than `maxUnits`',
    }),
    maxConcurrent: Type.Integer({
      default: 64,
      minimum: 1,
      maximum: 4_096,
      description: 'requests at once of this process; further ones wait until their deadline',
    }),
    cacheMiB: Type.Integer({
      default: 16,
      minimum: 1,
      maximum: 4_096,
      description:
        'responses to requests with `cache` or `force_cache`; who was not asked for longest goes first',
    }),
  },
  {
    additionalProperties: false,
    description:
      'lets policies call `http.send` and `net.lookup_ip_addr`; left out, a policy that calls one is refused',
  },
);
export type HttpSendOptions = Static<typeof httpSendOptions>;
