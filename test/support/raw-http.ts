import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * One HTTP/1.1 request whose path goes out byte by byte as it stands (Latin-1): a client library would refuse or
 * repair what these tests are about.
 */
export function rawRequest(
  port: number,
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Readonly<Record<string, string>> } = {},
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer within 10 s')));
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      // Envoy keeps the connection of an answer of its own open for a while
      if (isComplete(text)) socket.end();
    });
    socket.once('error', reject);
    socket.once('end', () => {
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? Number.NaN);
      if (Number.isNaN(status)) reject(new Error(`no HTTP answer: ${text}`));
      else resolve({ status, text });
    });
    const lines = Object.entries({ host: 'test.example', connection: 'close', ...headers });
    socket.write(
      Buffer.from(
        `${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
        'latin1',
      ),
    );
  });
}

function isComplete(text: string): boolean {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  if (rest.length === 0) return false;
  const length = /^content-length: (\d+)/im.exec(head)?.[1];
  const body = rest.join('\r\n\r\n');
  return length === undefined ? /^0\r\n/m.test(body) : body.length >= Number(length);
}
