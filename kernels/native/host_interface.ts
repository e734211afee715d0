/** What this backend needs of the process that it runs in: files, a compiler and calls of C. */

/** A type in C. */
export type CType = "f64" | "u32" | "i32" | "pointer";

/** The functions of a shared object. */
export type CSignatures = Readonly<
  Record<string, { readonly parameters: readonly CType[]; readonly result: CType | "void" }>
>;

/** An address as the host has it. */
export type Pointer = object | bigint;

type ValueOf<T> = T extends "pointer" ? Pointer | null : T extends "void" ? void : number;

type ValuesOf<T extends readonly CType[]> = { -readonly [K in keyof T]: ValueOf<T[K]> };

/** A shared object that is loaded. */
export interface CLibrary<S extends CSignatures> {
  readonly symbols: {
    readonly [K in keyof S]: (
      ...args: ValuesOf<S[K]["parameters"]>
    ) => ValueOf<S[K]["result"]>;
  };
  close(): void;
}

/** What is known of a file. */
export interface FileInfo {
  readonly isFile: boolean;
  readonly size: number;
  readonly inode: number | null;
  /** Who may do what, as Unix writes it in bits; null if the system has none. */
  readonly mode: number | null;
  /** Milliseconds. */
  readonly modified: number | undefined;
  readonly changed: number | undefined;
}

/** Files of the host. */
export interface HostFiles {
  readonly read: (path: string) => Promise<Uint8Array<ArrayBuffer>>;
  readonly write: (path: string, content: Uint8Array<ArrayBuffer>, mode: number) => Promise<void>;
  readonly rename: (from: string, to: string) => Promise<void>;
  readonly remove: (path: string) => Promise<void>;
  /** With those above it; it may be there already. */
  readonly makeDirectory: (path: string, mode: number) => Promise<void>;
  /** The names in a directory. */
  readonly list: (path: string) => Promise<readonly string[]>;
  readonly touch: (path: string, time: Date) => Promise<void>;
  /** `undefined` if it is not there or may not be seen. */
  readonly info: (path: string) => Promise<FileInfo | undefined>;
}

/** A process that can load C. */
export interface NativeHost {
  /** The name of the operating system, as Deno has it. */
  readonly system: string;
  /** The value of a variable of the environment, if it may be read. */
  readonly variable: (name: string) => string | undefined;
  readonly mayRead: (path: string) => boolean;
  readonly mayRun: (command: string) => boolean;
  /** Flags that would permit what is not permitted; `isKept` says whether the compiler need not be run. */
  readonly missingFlags: (
    needs: {
      readonly command: string;
      readonly directory: string | undefined;
      readonly isKept: () => boolean;
    },
  ) => readonly string[];
  readonly isThere: (path: string) => boolean;
  /** What a command wrote; `undefined` if there is no such command. */
  readonly run: (
    command: string,
    args: readonly string[],
  ) => Promise<{ readonly success: boolean; readonly stdout: string; readonly stderr: string } | undefined>;
  readonly files: HostFiles;
  /** Loads a shared object. */
  readonly open: <const S extends CSignatures>(path: string, symbols: S) => CLibrary<S>;
  /** A buffer over the bytes at an address. */
  readonly bufferOf: (pointer: Pointer, bytes: number) => ArrayBuffer;
}
