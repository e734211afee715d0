import { testAgreement } from "../agree.ts";
import { backends, missing } from "./backends.ts";

for (const backend of backends) {
  testAgreement(`native with ${backend.name}`, backend, missing !== undefined);
}
