const LETTERS = Buffer.from('abcdefghijklmnopqrstuvwxyz0123456789');
const MASK = 2 ** 14 - 1;

/** Names of 6 characters with FNV-1 hashes that end in the same 14 bits. */
export function collidingNames(count: number): readonly string[] {
  const names: string[] = [];
  const step = (hash: number, byte: number): number => Math.imul(hash, 0x01000193) ^ byte;
  for (let prefix = 0; names.length < count; prefix += 1) {
    let hash = 0x811c9dc5;
    const bytes: number[] = [];
    for (let rest = prefix, at = 0; at < 4; at += 1, rest = Math.floor(rest / LETTERS.length)) {
      const byte = LETTERS[rest % LETTERS.length] as number;
      bytes.push(byte);
      hash = step(hash, byte);
    }
    for (const one of LETTERS) {
      const next = step(hash, one);
      for (const other of LETTERS) {
        if ((step(next, other) & MASK) === 0) names.push(Buffer.from([...bytes, one, other]).toString());
      }
    }
  }
  return names.slice(0, count);
}
