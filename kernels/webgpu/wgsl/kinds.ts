/** How every kind of kernel is written, and how many loop iterations an invocation of it takes. */
import type { Kernel } from "../../lowering/kernels.ts";
import { cumsumWriting } from "./cumsum.ts";
import { fusedWriting } from "./fused.ts";
import { indexingWriting } from "./indexing.ts";
import type { CallersAt, WrittenKind, WrittenKinds } from "./kind.ts";
import { productWriting } from "./matmul.ts";
import { randomWriting } from "./random.ts";
import { reductionWriting } from "./reduce.ts";
import { loop, type TripCount } from "./trip_count.ts";
import { scanWriting } from "./scan.ts";

const written: WrittenKinds<Kernel> = {
  ...fusedWriting,
  ...reductionWriting,
  ...cumsumWriting,
  ...productWriting,
  ...indexingWriting,
  ...randomWriting,
  ...scanWriting,
};

/** How the kind of this kernel is written. */
export function writingOf({ kind }: Kernel): WrittenKind<Kernel> {
  return written[kind] as WrittenKind<Kernel>; // the record of this very kind
}

/** The loop iterations of an invocation of a kernel, in one step if it is a scan. */
export function tripCountOf(kernel: Kernel, group: CallersAt): TripCount {
  const inside = "body" in kernel ? kernel.body.map((each) => allTripsOf(each, group)) : [];
  return writingOf(kernel).tripCount(kernel, group, inside);
}

function allTripsOf(kernel: Kernel, group: CallersAt): TripCount {
  const rounds = tripCountOf(kernel, group);
  return "body" in kernel ? loop(group.sizes.of(kernel.length), rounds) : rounds;
}
