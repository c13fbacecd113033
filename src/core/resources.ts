/** What was acquired together, and is released together, the last first. */
export interface Acquired<T> {
  readonly value: T;
  release(): Promise<void>;
}

/**
 * Runs `acquire` with a stack for what must be released. When it fails, what it has so far is released.
 *
 * A function and not `await using`, which the parser behind the import check cannot read yet.
 */
export async function acquireAll<T>(
  acquire: (stack: AsyncDisposableStack) => Promise<T>,
): Promise<Acquired<T>> {
  const stack = new AsyncDisposableStack();
  try {
    const value = await acquire(stack);
    return { value, release: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}
