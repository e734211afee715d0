/** The allocator of device memory, against a plain list of what is in use. */
import { assert, assertEquals } from "../assert.ts";
import { Allocator } from "../../kernels/allocator.ts";
import fc from "fast-check";

/** Free the n-th region in use, if there are so many, or else allocate so many bytes. */
const turns = fc.array(fc.record({ free: fc.option(fc.nat(40)), bytes: fc.nat(1000) }), { maxLength: 300 });

Deno.test("regions never overlap, and everything that is freed can be used again", () => {
  fc.assert(fc.property(turns, (all) => {
    const allocator = new Allocator(100, 64);
    const inUse = new Map<number, number>();
    let end = 0;
    for (const { free, bytes } of all) {
      const freed = free === null ? undefined : [...inUse.keys()][free];
      if (freed !== undefined) {
        allocator.free(freed);
        inUse.delete(freed);
        continue;
      }
      const address = allocator.allocate(bytes, (needed) => end = Math.max(end, needed));
      const size = Math.max(64, Math.ceil(bytes / 64) * 64);
      assert(address >= 128 && address % 64 === 0, `address ${address}`);
      assert(address + size <= end, `address ${address} lies beyond the memory`);
      for (const [other, otherSize] of inUse) {
        assert(address + size <= other || other + otherSize <= address, `${address} overlaps ${other}`);
      }
      inUse.set(address, size);
      assertEquals(allocator.used, [...inUse.values()].reduce((sum, each) => sum + each, 0));
    }
    for (const address of inUse.keys()) allocator.free(address);
    assertEquals(allocator.used, 0);
    assertEquals(allocator.allocate(64 * 1000, () => {}), 128, "all of it is one region again");
  }));
});
