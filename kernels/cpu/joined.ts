/**
 * Kernels that run over the same rows, joined into one: elementwise work of equal shape, and sums and maxima of its rows.
 * What one computes and the other reads then goes from register to register, and is not written if nothing else reads
 * it, as with the squares of which a variance is the sum.
 */
import { sameShape } from "../../src/tensor/dims.ts";
import type { FusedKernel, FusedOperation, Operand, RowTotal } from "../lowering/kinds/fused.ts";
import type { ReduceKernel } from "../lowering/kinds/reduction.ts";
import { type Buffer, sameLoops, type View } from "../lowering/views.ts";
import type { CpuKernel } from "./kernels.ts";
import { sizeOf } from "../shapes.ts";
import { buffersIn, usesOf } from "./uses.ts";

/** What may be joined. */
type Member = FusedKernel | ReduceKernel;

/** The members of a joined kernel, in order; or one kernel of another kind. */
type Group = readonly [CpuKernel, ...CpuKernel[]];

/** Joins kernels in loops, where their rows stay in the nearest cache. */
export function joinInLoops(kernels: readonly CpuKernel[]): CpuKernel[] {
  const joinIn = (kernels: readonly CpuKernel[], isUsedOutside: (buffer: Buffer) => boolean): CpuKernel[] =>
    kernels.map((kernel): CpuKernel => {
      if (kernel.kind !== "scan") return kernel;
      const others = buffersIn(kernels.filter((other) => other !== kernel));
      const isOutside = (buffer: Buffer) => isUsedOutside(buffer) || others.has(buffer);
      return {
        ...kernel,
        body: repeatCheapWork(joinKernels(joinIn(kernel.body, isOutside), isOutside), isOutside)
          .flatMap(withoutUnread),
      };
    });
  return joinIn(kernels, () => false);
}

/** Joins the kernels of a body; `isUsedOutside` says whether kernels outside of it use a buffer. */
export function joinKernels(
  body: readonly CpuKernel[],
  isUsedOutside: (buffer: Buffer) => boolean,
): CpuKernel[] {
  const groups = body.reduce<readonly Group[]>(withKernel, []);
  return groups.map((group) => joined(group, body, isUsedOutside));
}

/** The groups with another kernel, which joins the last group that it can. */
function withKernel(groups: readonly Group[], kernel: CpuKernel): readonly Group[] {
  if (!spaceOf(kernel)) return [...groups, [kernel]];
  let movesUp = true;
  for (let at = groups.length - 1; at >= 0; at--) {
    const group = groups[at];
    if (mayJoin(group, kernel)) {
      const movesDown = () => {
        const later = groups.slice(at + 1).flat();
        return !group.some((member) => later.some((other) => mustStayInOrder(member, other)));
      };
      const larger: Group = [...group, kernel];
      if (movesUp) return groups.with(at, larger);
      if (movesDown()) return [...groups.toSpliced(at, 1), larger];
    }
    movesUp &&= !group.some((member) => mustStayInOrder(member, kernel));
  }
  return [...groups, [kernel]];
}

/** Whether one of two kernels writes what the other one uses. */
function mustStayInOrder(a: CpuKernel, b: CpuKernel): boolean {
  const [ofA, ofB] = [usesOf(a), usesOf(b)];
  return [...ofA.written].some((buffer) => ofB.buffers.has(buffer)) ||
    [...ofB.written].some((buffer) => ofA.buffers.has(buffer));
}

/** The most operations of a joined kernel: more values than registers are written and read anyway. */
const MOST_OPERATIONS = 64;

function mayJoin(group: Group, kernel: CpuKernel): boolean {
  const space = spaceOf(kernel);
  const operations = [...group, kernel].map((each) => each.kind === "fused" ? each.operations.length : 1);
  if (!space || operations.reduce((sum, count) => sum + count) > MOST_OPERATIONS) return false;
  return group.every((member) => {
    const other = spaceOf(member);
    return other !== undefined && sameShape(space, other) && readsInPlace(member, kernel);
  });
}

/** The index space of a kernel that may be joined; none without elements, where a sum is all that is written. */
function spaceOf(kernel: CpuKernel): View["shape"] | undefined {
  const shape = kernel.kind === "fused" ? kernel.shape : kernel.kind === "reduce" ? kernel.input.shape : [];
  if (shape.length !== 2 || sizeOf(shape) === 0) return undefined;
  const isOfRows = kernel.kind !== "reduce" ||
    (kernel.axes.length === 1 && kernel.axes[0] === 1 && kernel.input.dtype === "float32");
  return isOfRows ? shape : undefined;
}

/** Whether what two kernels share, if one of them writes it, lies in the same place at each index. */
function readsInPlace(first: CpuKernel, second: CpuKernel): boolean {
  const all = [first, second].flatMap((kernel) => [...usesOf(kernel).reads, ...elementsOf(kernel)]);
  const written = [...elementsOf(first), ...elementsOf(second)];
  const totals = [first, second].flatMap((kernel) => kernel.kind === "reduce" ? [kernel.output] : []);
  return written.every((view) =>
    all.every((other) => other.buffer !== view.buffer || isSameView(view, other))
  ) &&
    totals.every((total) => all.every(({ buffer }) => buffer !== total.buffer));
}

/** What a kernel writes at each index. */
function elementsOf(kernel: CpuKernel): readonly View[] {
  return kernel.kind === "reduce" ? [] : usesOf(kernel).writes;
}

function isSameView(a: View, b: View): boolean {
  return a.buffer === b.buffer && a.dtype === b.dtype && a.offset === b.offset &&
    sameShape(a.shape, b.shape) &&
    sameShape(a.strides, b.strides) && sameLoops(a, b) && a.share === b.share;
}

function joined(
  group: Group,
  body: readonly CpuKernel[],
  isUsedOutside: (buffer: Buffer) => boolean,
): CpuKernel {
  if (group.length === 1) return group[0];
  const members = group as readonly Member[]; // only these have a space
  const others = body.filter((kernel) => !group.includes(kernel));
  const isOwn = ({ buffer }: View) =>
    buffer.storage.kind === "arena" && !isUsedOutside(buffer) &&
    !others.some((other) => usesOf(other).buffers.has(buffer));
  const operations: FusedOperation[] = [], totals: RowTotal[] = [];
  const read = (view: View): Operand => {
    const maker = operations.findLast(({ stores }) => stores.some((store) => isSameView(store, view)));
    return maker ? { kind: "register", value: maker.output } : { kind: "view", view };
  };
  for (const member of members) {
    if (member.kind === "reduce") {
      totals.push({ name: member.name, operand: read(member.input), output: member.output });
      continue;
    }
    // What a kernel writes itself it has read before.
    const made = member.operations.map((operation) => ({
      ...operation,
      operands: operation.operands.map((operand) => operand.kind === "view" ? read(operand.view) : operand),
    }));
    operations.push(...made);
  }
  const left = new Set<unknown>(
    [...operations.flatMap(({ operands }) => operands), ...totals.map(({ operand }) => operand)].flatMap((
      operand,
    ) => operand.kind === "view" ? [operand.view.buffer] : []),
  );
  return {
    kind: "fused",
    shape: spaceOf(members[0]) ?? [],
    operations: operations.map((operation) => ({
      ...operation,
      stores: operation.stores.filter((store) => !isOwn(store) || left.has(store.buffer)),
    })),
    totals,
  };
}

/** A kernel without operations whose result is neither stored nor read; none if it has no other. */
function withoutUnread(kernel: CpuKernel): readonly CpuKernel[] {
  if (kernel.kind !== "fused") return [kernel];
  const { totals = [], columnTotals = [] } = kernel;
  const read = new Set<unknown>();
  const markRead = (operand: Operand) => operand.kind === "register" && read.add(operand.value);
  for (const { operand } of [...totals, ...columnTotals]) markRead(operand);
  const operations = kernel.operations.toReversed().filter(({ output, stores, operands }) => {
    const isUsed = stores.length > 0 || read.has(output);
    if (isUsed) operands.forEach(markRead);
    return isUsed;
  }).toReversed();
  if (operations.length === kernel.operations.length) return [kernel];
  const isEmpty = operations.length + totals.length + columnTotals.length === 0;
  return isEmpty ? [] : [{ ...kernel, operations }];
}

/** Operations that are repeated rather than that their result is written and read: they take no longer. */
const CHEAP = new Set<FusedOperation["name"]>(["add", "sub", "mul", "neg", "abs", "copy"]);

/** How many operations are repeated for a value. */
const MOST_REPEATED = 8;

/** Lets kernels compute again what only they read of an earlier one, if they read most of what that takes anyway. */
export function repeatCheapWork(
  body: readonly CpuKernel[],
  isUsedOutside: (buffer: Buffer) => boolean,
): CpuKernel[] {
  return body.reduce<CpuKernel[]>((kernels, _, at) => {
    const writer = kernels[at];
    if (writer.kind !== "fused") return kernels;
    return writer.operations.reduce<CpuKernel[]>(
      (kernels, { output }) => repeated(kernels, at, output, isUsedOutside) ?? kernels,
      kernels,
    );
  }, [...body]);
}

/** The kernels without a stored value of the kernel at a place, if all others that read it compute it again. */
function repeated(
  kernels: readonly CpuKernel[],
  at: number,
  value: FusedOperation["output"],
  isUsedOutside: (buffer: Buffer) => boolean,
): CpuKernel[] | undefined {
  const writer = kernels[at] as FusedKernel; // as the caller has checked
  const maker = writer.operations.find(({ output }) => output === value);
  if (maker?.stores.length !== 1) return undefined;
  const [store] = maker.stores, { buffer } = store;
  const work = workFor(maker, writer);
  if (buffer.storage.kind !== "arena" || isUsedOutside(buffer) || work.length > MOST_REPEATED) {
    return undefined;
  }
  if (work.some(({ name }) => !CHEAP.has(name))) return undefined;
  if (usesOf(writer).writes.filter((view) => view.buffer === buffer).length !== 1) return undefined;
  const users = kernels.filter((kernel) => kernel !== writer && usesOf(kernel).buffers.has(buffer));
  const leaves = work.flatMap(({ operands }) => operands).flatMap((x) => x.kind === "view" ? [x.view] : []);
  const last = kernels.findLastIndex((kernel) => users.includes(kernel));
  const isChanged = kernels.slice(at, last).some((kernel) =>
    leaves.some(({ buffer }) => usesOf(kernel).written.has(buffer))
  );
  const mayRepeat = users.every((user) => {
    if (user.kind !== "fused" || kernels.indexOf(user) < at) return false;
    const { reads } = usesOf(user);
    const isNear = (view: View) => view.strides.includes(0) || reads.some((read) => isSameView(read, view));
    return reads.every((view) => view.buffer !== buffer || isSameView(view, store)) &&
      leaves.filter((view) => !isNear(view)).length <= 1 && !changesElsewhere(user, leaves) &&
      user.operations.length + work.length <= MOST_OPERATIONS;
  });
  if (isChanged || !mayRepeat) return undefined;
  return kernels.map((kernel) => {
    if (kernel === writer) {
      return {
        ...writer,
        operations: writer.operations.map((each) => each === maker ? { ...each, stores: [] } : each),
      };
    }
    if (!users.includes(kernel)) return kernel;
    const user = kernel as FusedKernel; // as just checked
    const own = work.map((each) => ({ ...each, stores: [] }));
    const repeats = new Set(own.map(({ output }) => output)); // some may be repeated there already
    const read = <T extends Operand>(operand: T): Operand =>
      operand.kind === "view" && operand.view.buffer === buffer ? { kind: "register", value } : operand;
    return {
      ...user,
      operations: [
        ...own,
        ...user.operations.filter(({ output }) => !repeats.has(output)).map((each) => ({
          ...each,
          operands: each.operands.map(read),
        })),
      ],
      totals: user.totals?.map((total) => ({ ...total, operand: read(total.operand) })),
    };
  });
}

/**
 * Whether a kernel writes elements of what is read in views that would read them later, such as a carry that is written in
 * place and read reversed.
 */
function changesElsewhere(kernel: FusedKernel, views: readonly View[]): boolean {
  return usesOf(kernel).writes.some((written) =>
    views.some((view) => view.buffer === written.buffer && !isSameView(view, written))
  );
}

/** What of a kernel computes the result of one of its operations, in order. */
function workFor(operation: FusedOperation, { operations }: FusedKernel): FusedOperation[] {
  const needed = new Set<FusedOperation["output"]>([operation.output]);
  for (const { output, operands } of operations.toReversed()) {
    if (!needed.has(output)) continue;
    for (const operand of operands) if (operand.kind === "register") needed.add(operand.value);
  }
  return operations.filter(({ output }) => needed.has(output));
}
