/**
 * A secret as it could stand in a line of the decision log: as it is, percent-encoded, in base64 at each of its three
 * alignments, and in hexadecimal.
 */
export function spellingsOf(secret: string): readonly string[] {
  const encoded = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), Buffer.from(secret)]).toString('base64');
    // what the neighbours of the secret decide is cut off
    return text.replaceAll('=', '').slice(shift === 0 ? 0 : shift + 1, -1);
  });
  return [secret, encodeURIComponent(secret), Buffer.from(secret).toString('hex'), ...encoded];
}
