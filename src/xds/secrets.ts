/**
 * Certificates of a node, as SDS secrets that name files on the node: Envoy reads files again only where a secret
 * brings them. No certificate and no key goes over the wire.
 */
import { canonicalIp } from '../core/ip-address.ts';
import type { Json, JsonObject } from '../core/json.ts';
import type { EnvoyNode } from '../registry/model.ts';
import { AUTHZ_AUTHORITIES, AUTHZ_CERTIFICATE, LISTENER_AUTHORITIES, LISTENER_CERTIFICATE } from './names.ts';
import type { EnvoyTls } from './options.ts';
import { TYPE_URLS } from './resource-types.ts';

/** In no certificate; an empty list would be any name. */
const NO_ADDRESS = '0.0.0.0';

interface CertificateFiles {
  readonly certificateFile: string;
  readonly privateKeyFile: string;
  readonly watchedFolder?: string;
}

/** Key and certificate are read together, and only as a pair that fits. */
export function certificateSecret(
  name: string,
  { certificateFile, privateKeyFile, watchedFolder }: CertificateFiles,
): JsonObject {
  return {
    '@type': TYPE_URLS.secrets,
    name,
    tlsCertificate: {
      certificateChain: { filename: certificateFile },
      privateKey: { filename: privateKeyFile },
      ...watched(watchedFolder),
    },
  };
}

/** @param addresses  IP addresses, one of which the certificate of the other end must carry; none: any name */
export function authoritiesSecret(
  name: string,
  { caFile, watchedFolder }: { readonly caFile: string; readonly watchedFolder?: string },
  addresses: readonly string[] = [],
): JsonObject {
  return {
    '@type': TYPE_URLS.secrets,
    name,
    validationContext: {
      trustedCa: { filename: caFile },
      ...(addresses.length > 0 && { matchTypedSubjectAltNames: addresses.map(ipAddressName) }),
      ...watched(watchedFolder),
    },
  };
}

export function listenerSecrets({ listener: { tls } }: EnvoyNode): readonly JsonObject[] {
  if (tls === undefined) return [];
  const { clientCaFile: caFile, ...files } = tls;
  return [
    certificateSecret(LISTENER_CERTIFICATE, files),
    authoritiesSecret(LISTENER_AUTHORITIES, { ...files, caFile }),
  ];
}

/**
 * The authority signs nodes too: only a certificate for one of the addresses is taken for the authorizer's own. They
 * stand here and not in the cluster, which would warm up again with every process that comes or goes.
 */
export function authzSecrets(tls: EnvoyTls, addresses: readonly string[]): readonly JsonObject[] {
  const names = addresses.length > 0 ? addresses : [NO_ADDRESS];
  return [certificateSecret(AUTHZ_CERTIFICATE, tls), authoritiesSecret(AUTHZ_AUTHORITIES, tls, names)];
}

/** Envoy compares texts, and writes what stands in a certificate in the canonical spelling. */
export function ipAddressName(address: string): JsonObject {
  return { sanType: 'IP_ADDRESS', matcher: { exact: canonicalIp(address) ?? address } };
}

/** `SdsSecretConfig`: without the secret nothing opens, however long it takes. */
export function secretOverAds(name: string): JsonObject {
  return secretFrom(name, { ads: {}, resourceApiVersion: 'V3', initialFetchTimeout: '0s' });
}

export function secretFrom(name: string, sdsConfig: Json): JsonObject {
  return { name, sdsConfig };
}

/** Without it Envoy watches the folders of the files themselves, which a link on the way to them may leave as they are. */
function watched(folder: string | undefined): JsonObject {
  return folder === undefined ? {} : { watchedDirectory: { path: folder } };
}
