/** The package in Node: the names in every entry point, and what the program gives. */
import * as main from "@cellfold/cellfold";
import * as create from "@cellfold/cellfold/create";
import * as display from "@cellfold/cellfold/display";
import * as exporting from "@cellfold/cellfold/export";
import * as internal from "@cellfold/cellfold/internal";
import * as keras from "@cellfold/cellfold/keras";
import * as nativeNode from "@cellfold/cellfold/native-node";
import * as onnx from "@cellfold/cellfold/onnx";
import * as safetensors from "@cellfold/cellfold/safetensors";
import * as standalone from "@cellfold/cellfold/standalone";
import * as tfjs from "@cellfold/cellfold/tfjs";
import * as torch from "@cellfold/cellfold/torch";
import { program } from "./program.ts";

/** The names of every entry point. */
export const names: string[][] = [
  main,
  create,
  display,
  exporting,
  internal,
  keras,
  nativeNode,
  onnx,
  safetensors,
  standalone,
  tfjs,
  torch,
].map((entry) => Object.keys(entry).sort());

console.log(JSON.stringify({ names, values: await program() }));
