import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

export interface ClientTls {
  /** PEM of the authority that the server's certificate must come from */
  readonly ca: string;
  /** the client's own certificate */
  readonly certificate?: string;
  readonly privateKey?: string;
}

export interface HttpRequest {
  readonly method?: string;
  /** a list is sent as that many header lines */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  readonly tls?: ClientTls;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** the values of a header, one per line that came */
  values(name: string): readonly string[];
  readonly body: string;
}

/** One HTTP/1.1 request to 127.0.0.1 on a connection of its own. Rejects when there is no answer within 10 s. */
export function sendRequest(
  port: number,
  path: string,
  { method = 'GET', headers = {}, body, tls }: HttpRequest = {},
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(10_000);
    const options = {
      host: '127.0.0.1',
      port,
      path,
      method,
      headers: headers as OutgoingHttpHeaders,
      agent: false,
      signal,
    };
    const request = tls
      ? requestHttps({ ...options, ca: tls.ca, cert: tls.certificate, key: tls.privateKey })
      : requestHttp(options);
    request.once('error', reject);
    request.once('response', (response) => {
      let text = '';
      response.once('error', reject);
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          values: (name) => rawValues(response.rawHeaders, name),
          body: text,
        }),
      );
    });
    request.end(body);
  });
}

/** @param rawHeaders  name, value, name, value, … as Node gives them */
export function rawValues(rawHeaders: readonly string[], name: string): readonly string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name);
}
