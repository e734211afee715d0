/** The type at the center of the library. */

/**
 * One step: maps the state and the step's input to the output and the next state. Pure; parameters are closed
 * over.
 */
export type Cell<State, Input, Output> = (
  state: State,
  input: Input,
) => readonly [output: Output, state: State];
