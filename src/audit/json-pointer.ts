/** RFC 6901: `/a~1b/0` is the member `0` of the member `a/b`. Not percent-decoded, as OPA's masks are. */

/** @returns undefined  when it is no pointer */
export function parsePointer(pointer: string): readonly string[] | undefined {
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) return undefined;
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

export function formatPointer(parts: readonly string[]): string {
  return parts.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** Whether one is the other, or a part of it. */
export function overlap(parts: readonly string[], place: readonly string[]): boolean {
  return parts.every((part, index) => index >= place.length || part === place[index]);
}
