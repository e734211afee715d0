/**
 * Functions of WebAssembly, written instruction by instruction. Only the opcodes that the kernels use are
 * listed. Opcodes: WebAssembly Core Specification 3.0, chapter 5.4.
 */
import { pushFloat, pushSigned, pushSigned64, pushUnsigned } from "./bytes.ts";

/** A value type by its byte. */
export type ValueType = 0x7f | 0x7e | 0x7d | 0x7c | 0x7b;

/** 32-bit integer, 64-bit integer, 32-bit float, 64-bit float, 128-bit vector. */
export const i32 = 0x7f, i64 = 0x7e, f32 = 0x7d, f64 = 0x7c, v128 = 0x7b;

/** The index of a local variable or parameter of a function. */
export type Local = number;

/** Instructions without immediates: opcode bytes by name. */
const PLAIN = {
  "unreachable": [0x00],
  "return": [0x0f],
  "drop": [0x1a],
  "select": [0x1b],
  "i32.eqz": [0x45],
  "i32.eq": [0x46],
  "i32.ne": [0x47],
  "i32.lt_s": [0x48],
  "i32.lt_u": [0x49],
  "i32.gt_s": [0x4a],
  "i32.gt_u": [0x4b],
  "i32.le_s": [0x4c],
  "i32.le_u": [0x4d],
  "i32.ge_s": [0x4e],
  "i32.ge_u": [0x4f],
  "i32.ctz": [0x68],
  "memory.size": [0x3f, 0x00],
  "memory.grow": [0x40, 0x00],
  "i32.add": [0x6a],
  "i32.sub": [0x6b],
  "i32.mul": [0x6c],
  "i32.div_s": [0x6d],
  "i32.div_u": [0x6e],
  "i32.rem_s": [0x6f],
  "i32.rem_u": [0x70],
  "i32.and": [0x71],
  "i32.or": [0x72],
  "i32.xor": [0x73],
  "i32.shl": [0x74],
  "i32.shr_s": [0x75],
  "i32.shr_u": [0x76],
  "i32.rotl": [0x77],
  "i32.wrap_i64": [0xa7],
  "i64.extend_i32_u": [0xad],
  "i64.eq": [0x51],
  "i64.or": [0x84],
  "i64.shl": [0x86],
  "i64.shr_u": [0x88],
  "f32.eq": [0x5b],
  "f32.ne": [0x5c],
  "f32.lt": [0x5d],
  "f32.gt": [0x5e],
  "f32.le": [0x5f],
  "f32.ge": [0x60],
  "f32.abs": [0x8b],
  "f32.neg": [0x8c],
  "f32.add": [0x92],
  "f32.sub": [0x93],
  "f32.mul": [0x94],
  "f32.div": [0x95],
  "f32.min": [0x96],
  "f32.max": [0x97],
  "f32.convert_i32_s": [0xb2],
  "f32.demote_f64": [0xb6],
  "f64.promote_f32": [0xbb],
  "i64.add": [0x7c],
  "i64.mul": [0x7e],
  "f64.convert_i32_s": [0xb7],
  "f64.convert_i64_s": [0xb9],
  "i32.trunc_f64_u": [0xab],
  "f64.gt": [0x64],
  "f64.ceil": [0x9b],
  "f64.max": [0xa5],
  "f64.add": [0xa0],
  "f64.mul": [0xa2],
  "f64.div": [0xa3],
  "f64.floor": [0x9c],
} as const satisfies Readonly<Record<string, readonly number[]>>;

/** Vector instructions without immediates: the number after the prefix 0xfd. */
const VECTOR = {
  "i32x4.splat": 17,
  "f32x4.splat": 19,
  "i32x4.eq": 55,
  "i32x4.ne": 56,
  "i32x4.lt_s": 57,
  "i32x4.lt_u": 58,
  "i32x4.gt_s": 59,
  "i32x4.le_s": 61,
  "i32x4.ge_s": 63,
  "f32x4.eq": 65,
  "f32x4.ne": 66,
  "f32x4.lt": 67,
  "f32x4.gt": 68,
  "f32x4.le": 69,
  "f32x4.ge": 70,
  "v128.not": 77,
  "v128.and": 78,
  "v128.andnot": 79,
  "v128.or": 80,
  "v128.xor": 81,
  "v128.bitselect": 82,
  "v128.any_true": 83,
  "f32x4.demote_f64x2_zero": 94,
  "f64x2.promote_low_f32x4": 95,
  "f32x4.ceil": 103,
  "f32x4.floor": 104,
  "f32x4.trunc": 105,
  "f32x4.nearest": 106,
  "i32x4.abs": 160,
  "i32x4.neg": 161,
  "i32x4.all_true": 163,
  "i32x4.bitmask": 164,
  "i32x4.shl": 171,
  "i32x4.shr_s": 172,
  "i32x4.shr_u": 173,
  "i32x4.add": 174,
  "i32x4.sub": 177,
  "i32x4.mul": 181,
  "i32x4.min_s": 182,
  "i32x4.max_s": 184,
  "f32x4.abs": 224,
  "f32x4.neg": 225,
  "f32x4.sqrt": 227,
  "f32x4.add": 228,
  "f32x4.sub": 229,
  "f32x4.mul": 230,
  "f32x4.div": 231,
  "f32x4.min": 232,
  "f32x4.max": 233,
  "f32x4.pmin": 234,
  "f32x4.pmax": 235,
  "f64x2.add": 240,
  "f64x2.sub": 241,
  "f64x2.mul": 242,
  "i32x4.trunc_sat_f32x4_s": 248,
  "f32x4.convert_i32x4_s": 250,
  "f32x4.relaxed_madd": 0x105,
  "f32x4.relaxed_nmadd": 0x106,
  "i32x4.relaxed_laneselect": 0x10b,
} as const satisfies Readonly<Record<string, number>>;

/** Memory instructions: prefix (0 for none), number, log2 of the natural alignment. */
const MEMORY = {
  "i32.load": [0, 0x28, 2],
  "f32.load": [0, 0x2a, 2],
  "i32.store": [0, 0x36, 2],
  "f32.store": [0, 0x38, 2],
  "v128.load": [0xfd, 0, 2],
  "v128.load32_splat": [0xfd, 9, 2],
  "v128.load64_splat": [0xfd, 10, 2],
  "v128.store": [0xfd, 11, 2],
  "v128.load32_zero": [0xfd, 92, 2],
  "v128.load64_zero": [0xfd, 93, 2],
  "memory.atomic.notify": [0xfe, 0x00, 2],
  "memory.atomic.wait32": [0xfe, 0x01, 2],
  "i32.atomic.load": [0xfe, 0x10, 2],
  "i32.atomic.store": [0xfe, 0x17, 2],
  "i32.atomic.rmw.add": [0xfe, 0x1e, 2],
  "i32.atomic.rmw.and": [0xfe, 0x2c, 2],
  "i32.atomic.rmw.or": [0xfe, 0x33, 2],
  "i64.atomic.load": [0xfe, 0x11, 3],
  "i64.atomic.store": [0xfe, 0x18, 3],
  "i64.atomic.rmw.cmpxchg": [0xfe, 0x49, 3],
} as const satisfies Readonly<Record<string, readonly [number, number, number]>>;

/**
 * Instructions on one lane: the number after the prefix 0xfd; those that access memory also have an alignment
 * and offset.
 */
const LANE = {
  "i32x4.extract_lane": 27,
  "i32x4.replace_lane": 28,
  "f32x4.extract_lane": 31,
  "f32x4.replace_lane": 32,
} as const;
const LANE_MEMORY = { "v128.load32_lane": 86, "v128.store32_lane": 90 } as const;

/** A function in the making. Blocks are closures, so that they always end. */
export class FunctionBuilder {
  readonly code: number[] = [];
  readonly locals: ValueType[] = [];
  readonly #words = new Map<number, Local>();

  constructor(
    readonly name: string,
    readonly index: number,
    readonly params: readonly ValueType[],
    readonly results: readonly ValueType[],
  ) {}

  /** A new local variable, initially zero. */
  local(type: ValueType): Local {
    this.locals.push(type);
    return this.params.length + this.locals.length - 1;
  }

  /** A local with the i32 at this address, which is read when the function begins. */
  word(address: number): Local {
    const known = this.#words.get(address) ?? this.local(i32);
    this.#words.set(address, known);
    return known;
  }

  /** All instructions, those that read words first. */
  get body(): readonly number[] {
    const entry: number[] = [];
    for (const [address, local] of this.#words) {
      entry.push(0x41);
      pushSigned(entry, 0);
      entry.push(0x28, 2);
      pushUnsigned(entry, address);
      entry.push(0x21);
      pushUnsigned(entry, local);
    }
    return entry.concat(this.code);
  }

  get(local: Local): this {
    this.code.push(0x20);
    pushUnsigned(this.code, local);
    return this;
  }

  set(local: Local): this {
    this.code.push(0x21);
    pushUnsigned(this.code, local);
    return this;
  }

  tee(local: Local): this {
    this.code.push(0x22);
    pushUnsigned(this.code, local);
    return this;
  }

  /** An i32 constant. */
  i32(value: number): this {
    this.code.push(0x41);
    pushSigned(this.code, value);
    return this;
  }

  /** An i64 constant. */
  i64(value: number | bigint): this {
    this.code.push(0x42);
    pushSigned64(this.code, BigInt(value));
    return this;
  }

  /** An f64 constant. */
  f64(value: number): this {
    this.code.push(0x44, ...new Uint8Array(Float64Array.of(value).buffer));
    return this;
  }

  /** An f32 constant. */
  f32(value: number): this {
    this.code.push(0x43);
    pushFloat(this.code, value);
    return this;
  }

  /** A vector of four equal f32. */
  f32x4(value: number): this {
    this.code.push(0xfd, 12);
    for (let lane = 0; lane < 4; lane++) pushFloat(this.code, value);
    return this;
  }

  /** A vector of i32: one for all lanes, or four. */
  i32x4(...lanes: readonly [number] | readonly [number, number, number, number]): this {
    const all = lanes.length === 1 ? [lanes[0], lanes[0], lanes[0], lanes[0]] : lanes;
    this.code.push(0xfd, 12, ...new Uint8Array(new Int32Array(all).buffer));
    return this;
  }

  /** An instruction without immediates. */
  op(name: keyof typeof PLAIN | keyof typeof VECTOR): this {
    if (name in PLAIN) this.code.push(...PLAIN[name as keyof typeof PLAIN]);
    else {
      this.code.push(0xfd);
      pushUnsigned(this.code, VECTOR[name as keyof typeof VECTOR]);
    }
    return this;
  }

  /** A load, store or atomic at the address on the stack plus `offset` bytes. */
  memory(name: keyof typeof MEMORY, offset = 0): this {
    const [prefix, number, alignment] = MEMORY[name];
    if (prefix !== 0) this.code.push(prefix);
    pushUnsigned(this.code, number);
    this.code.push(alignment);
    pushUnsigned(this.code, offset);
    return this;
  }

  /** Extracts or replaces a lane. */
  lane(name: keyof typeof LANE, lane: number): this {
    this.code.push(0xfd, LANE[name], lane);
    return this;
  }

  /** Loads or stores one lane. */
  laneMemory(name: keyof typeof LANE_MEMORY, lane: number, offset = 0): this {
    this.code.push(0xfd, LANE_MEMORY[name], 2);
    pushUnsigned(this.code, offset);
    this.code.push(lane);
    return this;
  }

  /** Picks 16 bytes from two vectors. */
  shuffle(bytes: readonly number[]): this {
    this.code.push(0xfd, 13, ...bytes);
    return this;
  }

  call(callee: { readonly index: number }): this {
    this.code.push(0x10);
    pushUnsigned(this.code, callee.index);
    return this;
  }

  /** `write` may leave the block by `br(0)`. */
  block(write: () => void): this {
    this.code.push(0x02, 0x40);
    write();
    this.code.push(0x0b);
    return this;
  }

  /** `write` may repeat the loop by `br(0)`. */
  loop(write: () => void): this {
    this.code.push(0x03, 0x40);
    write();
    this.code.push(0x0b);
    return this;
  }

  /** Runs `then` if the i32 on the stack is not 0. */
  if(then: () => void, otherwise?: () => void): this {
    this.code.push(0x04, 0x40);
    then();
    if (otherwise) {
      this.code.push(0x05);
      otherwise();
    }
    this.code.push(0x0b);
    return this;
  }

  br(depth: number): this {
    this.code.push(0x0c);
    pushUnsigned(this.code, depth);
    return this;
  }

  brIf(depth: number): this {
    this.code.push(0x0d);
    pushUnsigned(this.code, depth);
    return this;
  }

  /** Pushes the value of a global variable of the module. */
  getGlobal(index: number): this {
    this.code.push(0x23);
    pushUnsigned(this.code, index);
    return this;
  }

  setGlobal(index: number): this {
    this.code.push(0x24);
    pushUnsigned(this.code, index);
    return this;
  }

  /** Fills memory; address, byte and length are on the stack. */
  fill(): this {
    this.code.push(0xfc, 0x0b, 0x00);
    return this;
  }

  /** Copies memory; destination, source and length are on the stack. */
  copy(): this {
    this.code.push(0xfc, 0x0a, 0x00, 0x00);
    return this;
  }

  /**
   * Counts `counter` from its current value up to below `end` (a local or a constant) by `step`. Both are
   * unsigned, as byte counts and addresses may exceed 2 GiB.
   */
  count(counter: Local, end: { readonly local: Local } | number, step: number, write: () => void): this {
    const pushEnd = () => typeof end === "number" ? this.i32(end) : this.get(end.local);
    return this.block(() => {
      this.get(counter);
      pushEnd().op("i32.ge_u").brIf(0);
      this.loop(() => {
        write();
        this.get(counter).i32(step).op("i32.add").tee(counter);
        pushEnd().op("i32.lt_u").brIf(0);
      });
    });
  }
}
