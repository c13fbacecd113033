/**
 * What bodies are taken: JSON everywhere; a bundle, or YAML, where the endpoint says so, as the value that JSON would
 * have said.
 */
import { errorCodes, type FastifyInstance, type FastifyRequest } from 'fastify';
import { readBundle } from '../policy/bundle.ts';
import { expectPortable, parseJsonBody } from './json-body.ts';
import { BUNDLE_MEDIA_TYPES, YAML_MEDIA_TYPE } from './route-schema.ts';
import { parseYamlBody } from './yaml-body.ts';

export function acceptBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const json = async (_request: FastifyRequest, bytes: Buffer): Promise<unknown> => parseJsonBody(bytes);
  const bundle = async (request: FastifyRequest, bytes: Buffer): Promise<unknown> => {
    if (request.routeOptions.config.takesBundles) {
      const source = await readBundle(bytes);
      expectPortable(source);
      return source;
    }
    throw new errorCodes.FST_ERR_CTP_INVALID_MEDIA_TYPE(request.headers['content-type'] ?? '');
  };
  const yaml = async (request: FastifyRequest, bytes: Buffer): Promise<unknown> => {
    if (request.routeOptions.config.speaksYaml) return parseYamlBody(bytes);
    throw new errorCodes.FST_ERR_CTP_INVALID_MEDIA_TYPE(request.headers['content-type'] ?? '');
  };
  app.addContentTypeParser(YAML_MEDIA_TYPE, { parseAs: 'buffer' }, yaml);
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, json);
  app.addContentTypeParser([...BUNDLE_MEDIA_TYPES], { parseAs: 'buffer' }, bundle);
}
