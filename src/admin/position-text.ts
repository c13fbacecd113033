import { Type } from 'typebox';

/** A place in the journal as people and programs copy it: `<epoch>.<seq>`. */
export const positionSchema = Type.String({
  pattern: '^\\d+\\.\\d+$',
  description: 'place in the journal: <epoch>.<seq>',
});

export function positionText({ epoch, seq }: { readonly epoch: number; readonly seq: number }): string {
  return `${epoch}.${seq}`;
}
