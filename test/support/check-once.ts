/** Asks one Check of `host:port` and prints its status: `node test/support/check-once.ts 127.0.0.1:9191 /public/a`. */
import { aCheckRequest, createCheckClient } from './check-client.ts';

const [target = '127.0.0.1:9191', path = '/public/hello'] = process.argv.slice(2);
const client = createCheckClient(target);
const { status } = await client.check(aCheckRequest({ path }));
client.close();
process.stdout.write(`${JSON.stringify({ path, code: status?.code ?? 0 })}\n`);
