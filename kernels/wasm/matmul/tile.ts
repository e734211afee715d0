/**
 * The tiles of the matrix product: one function per number of rows, each of which iterates over the panels of
 * the packed right operand with all its sums in registers. product.ts divides a product into tiles.
 *
 * V8 provides 15 vector registers, and a current x64 core starts two multiply-adds of four cycles each per
 * cycle: 8 independent sums, better 12, keep the units busy. Hence the shapes below. Every tile adds an
 * element's terms one by one from the first to the last, so the result does not depend on the tile that an
 * element falls into.
 */
import { f32, type FunctionBuilder, i32, type Local, type ModuleBuilder, v128 } from "../assembler.ts";

/** Columns of a panel: two vectors. */
export const panelColumns = 8;

/** Bytes of one row of a panel. */
export const panelRowBytes = 32;

/**
 * Terms per loop iteration over a row-major left operand. Of the ceiling, 64x64x256 reaches 91 % with 4, 94 %
 * with 8, 93 % with 16.
 */
const UNROLL = 8;

/** The bytes of the first of four lanes, four times: broadcasts it to a vector. */
const FIRST_LANE = Array.from({ length: 16 }, (_, byte) => byte % 4);

/** The features that a tile is emitted with. */
export interface TileFeatures {
  /** Fuse multiplication and addition. */
  readonly relaxed: boolean;
  /** The engine computes pairs of vectors as one. */
  readonly wide: boolean;
}

/** The parameters of a tile. */
const TILE_PARAMS = 11;

/**
 * Panels side by side in a tile, indexed by its rows less one. Without fusion a product needs its own
 * register before it is added: there 4x8 ran at 39 GFLOP/s, and 6x8 at 30, because it spills. With fusion
 * 3x16 spills: it ran at 28, compared to 45 for 3x8. Where pairs of vectors take one register of 256 bits,
 * twice the columns fit: 6x16 ran at 108 GFLOP/s there, 6x8 at 82, 4x24 at 72, which spills.
 */
const PANELS = { fused: [4, 3, 1, 1, 1, 1], plain: [4, 2, 1, 1], wide: [4, 3, 2, 2, 2, 2] } as const;

function panelsByRows({ relaxed, wide }: TileFeatures): readonly number[] {
  return relaxed ? (wide ? PANELS.wide : PANELS.fused) : PANELS.plain;
}

/** Rows of the tallest tile. */
export function mostRows(features: TileFeatures): number {
  return panelsByRows(features).length;
}

/**
 * Adds `strip(a, strideRow, strideK, packed, panelBytes, c, strideC, n, k, addend, strideAddend, rows)`:
 * computes `rows` (1 to `mostRows`) rows of C, `n` columns wide, from as many rows of A, the panels at
 * `packed`, `panelBytes` apart, and rows of D at `addend`, if that is not 0.
 */
export function addStrip(module: ModuleBuilder, features: TileFeatures): FunctionBuilder {
  const edge = addEdge(module);
  const tiles = panelsByRows(features).map((panels, index) =>
    addTile(module, index + 1, panels, edge, features)
  );
  const strip = module.addFunction("matmul strip", Array(TILE_PARAMS + 1).fill(i32));
  const rows: Local = TILE_PARAMS;
  strip.block(() => {
    for (const [index, tile] of [...tiles.entries()].reverse()) {
      strip.get(rows).i32(index + 1).op("i32.eq").if(() => {
        for (let param = 0; param < TILE_PARAMS; param++) strip.get(param);
        strip.call(tile).br(1);
      });
    }
  });
  return strip;
}

/**
 * Adds `edge(left, right, c, columns, addend)`: writes the first 1 to 7 of eight sums, each with its addend
 * if there is one.
 */
function addEdge(module: ModuleBuilder): FunctionBuilder {
  const edge = module.addFunction("matmul edge", [v128, v128, i32, i32, i32]);
  const [left, right, c, columns, addend] = [0, 1, 2, 3, 4];
  const sum = edge.local(f32);
  edge.block(() => {
    for (let column = 0; column < panelColumns - 1; column++) {
      edge.get(columns).i32(column).op("i32.le_s").brIf(0);
      edge.get(column < 4 ? left : right).lane("f32x4.extract_lane", column % 4).set(sum);
      edge.get(addend).if(() => {
        edge.get(sum).get(addend).memory("f32.load", 4 * column).op("f32.add").set(sum);
      });
      edge.get(c).get(sum).memory("f32.store", 4 * column);
    }
  });
  return edge;
}

/** Pushes what `push` pushes if an address is not 0, else 0. */
export function pushIf(code: FunctionBuilder, address: Local, push: () => void): FunctionBuilder {
  push();
  return code.i32(0).get(address).op("select");
}

function addTile(
  module: ModuleBuilder,
  rows: number,
  panels: number,
  edge: FunctionBuilder,
  { relaxed }: TileFeatures,
): FunctionBuilder {
  const tile = module.addFunction(
    `matmul tile ${rows}x${panels * panelColumns}`,
    Array(TILE_PARAMS).fill(i32),
  );
  const [a, strideRow, strideK, packed, panelBytes, c, strideC, n, k, addend, strideAddend] = tile.params
    .keys();
  const locals = (count: number, type: typeof i32 | typeof v128) =>
    Array.from({ length: count }, () => tile.local(type));
  const left = locals(rows, i32);
  const right = locals(panels, i32);
  const [end, blockEnd, address, added] = locals(4, i32);
  const sums = right.map(() => left.map(() => locals(2, v128)));
  const holdsVectors = 2 * panels <= rows || panels === 1;
  const held = locals(holdsVectors ? 2 * panels : rows, v128);
  const passing = tile.local(v128);

  const add = (local: Local, value: Local) => tile.get(local).get(value).op("i32.add").set(local);
  const addConstant = (local: Local, value: number) => tile.get(local).i32(value).op("i32.add").set(local);

  const multiplyAdd = (factor: Local, vector: Local, sum: Local) => {
    tile.get(factor).get(vector);
    if (relaxed) tile.get(sum).op("f32x4.relaxed_madd");
    else tile.op("f32x4.mul").get(sum).op("f32x4.add");
    tile.set(sum);
  };

  /**
   * One term of every sum. The side with fewer vectors is held in registers, those of the panels or the
   * factors of the rows; the other side passes through one register.
   *
   * If an engine checks the bounds of every load, as V8 does in Deno, the branches compete with
   * multiplications for a unit of Intel's cores. `inPairs` has half as many: the first of two factors is
   * loaded with its neighbor and broadcast; the second load then ends where the first ended, and needs no
   * check.
   */
  const terms = (step: number, { inPairs }: { readonly inPairs: boolean }) => {
    const loadFactor = (row: number) => {
      const offset = step * 4;
      if (!inPairs || step % 2 === 1) return tile.get(left[row]).memory("v128.load32_splat", offset);
      return tile.get(left[row]).memory("v128.load64_splat", offset).tee(passing).get(passing).shuffle(
        FIRST_LANE,
      );
    };
    const loadVector = (panel: number, half: number) =>
      tile.get(right[panel]).memory("v128.load", step * panelRowBytes + 16 * half);
    if (holdsVectors) {
      for (let panel = 0; panel < panels; panel++) {
        for (const half of [1, 0]) loadVector(panel, half).set(held[2 * panel + half]);
      }
      for (let row = 0; row < rows; row++) {
        loadFactor(row).set(passing);
        for (let panel = 0; panel < panels; panel++) {
          for (const half of [1, 0]) multiplyAdd(passing, held[2 * panel + half], sums[panel][row][half]);
        }
      }
    } else {
      for (let row = 0; row < rows; row++) loadFactor(row).set(held[row]);
      for (const [panel, pairs] of sums.entries()) {
        for (const half of [0, 1]) {
          loadVector(panel, half).set(passing);
          for (const [row, pair] of pairs.entries()) multiplyAdd(held[row], passing, pair[half]);
        }
      }
    }
  };

  const start = () => {
    tile.get(a).set(left[0]);
    for (let row = 1; row < rows; row++) tile.get(left[row - 1]).get(strideRow).op("i32.add").set(left[row]);
    tile.get(packed).set(right[0]);
    for (let panel = 1; panel < panels; panel++) {
      // A panel beyond the last repeats the one before; its sums are not stored.
      tile.get(right[panel - 1]);
      tile.get(panelBytes).i32(0).get(n).i32(panel * panelColumns).op("i32.gt_s").op("select").op("i32.add");
      tile.set(right[panel]);
    }
    for (const sum of sums.flat(2)) tile.f32x4(0).set(sum);
    tile.get(packed).get(k).i32(5).op("i32.shl").op("i32.add").set(end);
  };

  /** For row-major A: several terms per iteration, addressed by immediates. */
  const unrolled = () => {
    tile.get(strideK).i32(4).op("i32.eq").if(() => {
      tile.get(packed).get(k).i32(-UNROLL).op("i32.and").i32(5).op("i32.shl").op("i32.add").set(blockEnd);
      tile.block(() => {
        tile.get(right[0]).get(blockEnd).op("i32.eq").brIf(0);
        tile.loop(() => {
          for (let step = 0; step < UNROLL; step++) terms(step, { inPairs: true });
          for (const pointer of left) addConstant(pointer, UNROLL * 4);
          for (const pointer of right) addConstant(pointer, UNROLL * panelRowBytes);
          tile.get(right[0]).get(blockEnd).op("i32.ne").brIf(0);
        });
      });
    });
  };

  const singly = () => {
    tile.block(() => {
      tile.get(right[0]).get(end).op("i32.eq").brIf(0);
      tile.loop(() => {
        terms(0, { inPairs: false });
        for (const pointer of left) add(pointer, strideK);
        for (const pointer of right) addConstant(pointer, panelRowBytes);
        tile.get(right[0]).get(end).op("i32.ne").brIf(0);
      });
    });
  };

  const eachRow = (write: (row: number) => void) => {
    tile.get(c).set(address);
    for (let row = 0; row < rows; row++) {
      write(row);
      if (row < rows - 1) add(address, strideC);
    }
  };

  const store = (panel: number) => {
    const offset = panel * panelRowBytes;
    tile.get(n).i32((panel + 1) * panelColumns).op("i32.ge_s").if(() => {
      tile.get(addend).if(() => {
        tile.get(addend).set(added);
        for (const [row, pair] of sums[panel].entries()) {
          for (const [half, sum] of pair.entries()) {
            tile.get(sum).get(added).memory("v128.load", offset + 16 * half).op("f32x4.add").set(sum);
          }
          if (row < rows - 1) add(added, strideAddend);
        }
      });
      eachRow((row) => {
        for (const half of [1, 0]) {
          tile.get(address).get(sums[panel][row][half]).memory("v128.store", offset + 16 * half);
        }
      });
    }, () => {
      pushIf(tile, addend, () => tile.get(addend).i32(offset).op("i32.add")).set(added);
      eachRow((row) => {
        for (const sum of sums[panel][row]) tile.get(sum);
        tile.get(address).i32(offset).op("i32.add");
        tile.get(n).i32(panel * panelColumns).op("i32.sub").get(added).call(edge);
        if (row < rows - 1) add(added, strideAddend);
      });
    });
  };

  tile.block(() => {
    tile.get(n).i32(0).op("i32.le_s").brIf(0);
    tile.loop(() => {
      start();
      unrolled();
      singly();
      for (let panel = 0; panel < panels; panel++) store(panel);
      tile.get(packed).get(panelBytes).i32(panels).op("i32.mul").op("i32.add").set(packed);
      addConstant(c, panels * panelRowBytes);
      pushIf(tile, addend, () => tile.get(addend).i32(panels * panelRowBytes).op("i32.add")).set(addend);
      tile.get(n).i32(panels * panelColumns).op("i32.sub").tee(n);
      tile.i32(0).op("i32.gt_s").brIf(0);
    });
  });
  return tile;
}
