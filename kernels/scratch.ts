/**
 * Scratch: memory for what lives during one call only, the intermediate results of a Program and the tensors
 * that a call brings from the host. Calls follow one another, so all executables of a device share it, and it
 * is as large as the largest call of those that there are.
 */

/** How it gets memory. */
interface Memory {
  allocate(bytes: number, what: () => string, holder: "scratch"): number;
  free(address: number): void;
}

/** Before anybody has taken it. */
const NOBODY = { user: undefined, bytes: 0 };

/** Memory that is shared by calls, which do not overlap. */
export class Scratch {
  readonly #memory: Memory;
  /** The most bytes that each user has taken. */
  readonly #needs = new Map<object, number>();
  /** Who took it last, and the most bytes that it has taken. */
  #latest: { readonly user: object | undefined; readonly bytes: number } = NOBODY;
  #address = 0;
  #bytes = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** Bytes that it has now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The address of at least this many bytes, until the next call; it may be another one then. */
  take(user: object, bytes: number, what: () => string): number {
    if (user !== this.#latest.user || bytes > this.#latest.bytes) this.#note(user, bytes);
    if (bytes > this.#bytes) {
      this.#clear();
      this.#address = this.#memory.allocate(bytes, what, "scratch");
      this.#bytes = bytes;
    }
    return this.#address;
  }

  #note(user: object, bytes: number): void {
    const most = Math.max(bytes, this.#needs.get(user) ?? 0);
    this.#needs.set(user, most);
    this.#latest = { user, bytes: most };
  }

  /** Says that this user makes no more calls, so that memory which only it needed is given back. */
  leave(user: object): void {
    if (!this.#needs.delete(user)) return;
    if (this.#latest.user === user) this.#latest = NOBODY;
    if (this.#bytes > Math.max(0, ...this.#needs.values())) this.#clear();
  }

  #clear(): void {
    if (this.#bytes > 0) this.#memory.free(this.#address);
    this.#bytes = 0;
  }
}
