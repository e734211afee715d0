/** The names of the tasks, apart from the tasks: the page knows them without the library. */
export const taskNames = ["adding", "copy", "sine"] as const;
export type TaskName = typeof taskNames[number];
