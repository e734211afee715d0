/**
 * The order of measurement: all subjects of a workload are prepared, then take turns, one run each, so that
 * other activity on the machine affects them alike.
 */
import type { Workload } from "../workloads.ts";
import type { Measurement, Peer, Subject, Values } from "./measurements.ts";
import { SubjectProcess } from "./process.ts";
import { launchOf, threadsOf } from "./subjects.ts";
import type { Task } from "./tasks.ts";

/** How workloads are run. */
export interface RoundOptions {
  /** Runs of each subject. */
  readonly runs: number;
  /** The peers that take part. */
  readonly peers: readonly Peer[];
  /** A number of threads for Cellfold that replaces the workload's. */
  readonly threads?: number;
  readonly device?: string;
  readonly python?: string;
  /** Logs progress and failures. */
  readonly log: (line: string) => void;
  /** Changes the task, for example to small sizes. */
  readonly taskOf?: (task: Task) => Task;
}

/** After this many runs, numbers of threads of a peer that are this much slower than its best drop out. */
const TRIAL_RUNS = 3, DROPPED_FROM = 1.2;

/** The pause before every run, in which spinning threads of the run before fall asleep. */
const PAUSE_MILLISECONDS = 20;

/** Measures workloads; the processes of peers are kept from one to the next. */
export class Contest implements AsyncDisposable {
  readonly #options: RoundOptions;
  readonly #processes = new Map<string, Promise<SubjectProcess>>();
  readonly #versions = new Map<string, string>();

  constructor(options: RoundOptions) {
    this.#options = options;
  }

  /** Name and version of every library that took part. */
  get versions(): ReadonlyMap<string, string> {
    return this.#versions;
  }

  /** Measures workloads side by side. What a subject cannot do is logged, and the others go on. */
  async run(group: readonly Workload[]): Promise<Measurement[]> {
    const [first] = group;
    const runs = Math.min(this.#options.runs, first.runs ?? Infinity);
    if (first.freshProcess) return [await this.#runFresh(first, runs)];
    const entrants: Entrant[] = [];
    for (const workload of group) entrants.push(...await this.#enter(workload));
    for (let round = 0; round < runs; round++) {
      // Each round begins with another subject, so that none always follows the same one.
      for (let turn = 0; turn < entrants.length; turn++) {
        await entrants[(round + turn) % entrants.length].run();
      }
      if (round + 1 === TRIAL_RUNS) await this.#dropWorse(entrants);
      for (const gone of entrants.filter(({ failed }) => failed)) entrants.splice(entrants.indexOf(gone), 1);
    }
    for (const entrant of entrants) await this.#leave(entrant);
    return entrants.map((entrant) => entrant.measurement());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes.values()) {
      await process.then((started) => started[Symbol.asyncDispose](), () => {}); // a failed start was logged
    }
    this.#processes.clear();
  }

  /** Starts and prepares all subjects one after the other, as warming up takes CPU time. */
  async #enter(workload: Workload): Promise<Entrant[]> {
    const { peers, log, taskOf = (task) => task } = this.#options;
    const wanted: readonly (readonly [Subject, number])[] = [
      ["cellfold", this.#options.threads ?? workload.threads],
      ...workload.peers.filter((peer) => peers.includes(peer)).flatMap((peer) => {
        const only = workload.peerThreads?.[peer];
        return (only ? [only] : threadsOf(peer)).map((threads) => [peer, threads] as const);
      }),
    ];
    const entrants: Entrant[] = [];
    for (const [subject, threads] of wanted) {
      try {
        const process = subject === "cellfold"
          ? await this.#start(subject, threads, workload)
          : await this.#kept(subject, threads);
        const entrant = new Entrant(process, workload.name, log);
        try {
          await process.prepare(taskOf(workload.task));
          entrants.push(entrant);
        } catch (error) {
          await this.#leave(entrant);
          throw error;
        }
      } catch (error) {
        log(`${workload.name}: ${subject} with ${threads} threads is left out: ${messageOf(error)}`);
      }
    }
    return entrants;
  }

  /**
   * The end of a task: a peer, which may take long to start, is kept for the next task; Cellfold's process
   * ends.
   */
  async #leave({ process, failed }: Entrant): Promise<void> {
    if (process.subject === "cellfold") await process[Symbol.asyncDispose]();
    else if (!failed) await process.release();
  }

  #kept(subject: Peer, threads: number): Promise<SubjectProcess> {
    const key = `${subject} ${threads}`;
    let process = this.#processes.get(key);
    if (!process) this.#processes.set(key, process = this.#start(subject, threads));
    return process;
  }

  async #start(subject: Subject, threads: number, workload?: Workload): Promise<SubjectProcess> {
    const { python } = this.#options;
    const { v8Flags, startsProcesses, device = this.#options.device } = workload ?? {};
    const launch = launchOf(subject, { threads, device, python, v8Flags, startsProcesses });
    const process = await SubjectProcess.start(subject, threads, launch);
    for (const [name, version] of Object.entries(process.versions)) this.#versions.set(name, version);
    return process;
  }

  /** Removes the clearly slower ones of a peer's numbers of threads. */
  async #dropWorse(entrants: Entrant[]): Promise<void> {
    const best = new Map<string, number>();
    for (const { contestant, best: time } of entrants) {
      best.set(contestant, Math.min(time, best.get(contestant) ?? Infinity));
    }
    for (const entrant of [...entrants]) {
      if (entrant.best <= DROPPED_FROM * (best.get(entrant.contestant) ?? 0)) continue;
      entrants.splice(entrants.indexOf(entrant), 1);
      await this.#leave(entrant);
    }
  }

  /** Every run in a fresh process, for Cellfold alone. */
  async #runFresh(workload: Workload, runs: number): Promise<Measurement> {
    const { threads = workload.threads, taskOf = (task) => task } = this.#options;
    const times: number[] = [];
    let values: Values = {};
    for (let run = 0; run < runs; run++) {
      await using process = await this.#start("cellfold", threads, workload);
      await process.prepare(taskOf(workload.task));
      const result = await process.run();
      times.push(result.time);
      values = { ...values, ...result.values };
    }
    return { workload: workload.name, subject: "cellfold", threads, times, values };
  }
}

/** One process in one workload. */
class Entrant {
  failed = false;
  readonly #times: number[] = [];
  #values: Values = {};

  constructor(
    readonly process: SubjectProcess,
    readonly workload: string,
    readonly log: (line: string) => void,
  ) {}

  /** A key that is the same for all numbers of threads of a subject. */
  get contestant(): string {
    return `${this.process.subject} ${this.workload}`;
  }

  get best(): number {
    return Math.min(...this.#times);
  }

  async run(): Promise<void> {
    if (this.failed) return;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLISECONDS));
    try {
      const { time, values } = await this.process.run();
      this.#times.push(time);
      this.#values = { ...this.#values, ...values };
    } catch (error) {
      this.failed = true;
      this.log(
        `${this.workload}: ${this.process.subject} with ${this.process.threads} threads failed: ${
          messageOf(error)
        }`,
      );
    }
  }

  measurement(): Measurement {
    const { subject, threads } = this.process;
    return { workload: this.workload, subject, threads, times: this.#times, values: this.#values };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
