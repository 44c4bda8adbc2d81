// What all JavaScript peers share: their arguments, the installed packages, and the nods.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

export const { values: args } = parseArgs({
  options: {
    url: { type: "string" }, // ws://host:port/path or rs://host:port
    realm: { type: "string", default: "realm1" },
    serializer: { type: "string", default: "json" }, // json, msgpack or cbor
    procedure: { type: "string", default: "com.myapp.longop" },
    method: { type: "string" }, // ticket, wampcra or cryptosign
    authid: { type: "string" },
    secret: { type: "string" },
    pubkey: { type: "string" }, // for cryptosign, in hexadecimal
    cancel: { type: "string" }, // skip, kill or killnowait, at the first progressive result
  },
});

export const require = createRequire(new URL("../.cache/npm/", import.meta.url));

// A peer has failed until it says otherwise.
process.exitCode = 1;

/** Reads stdin: gives a function that waits for the next line. Calls leave at the end of stdin. */
export function readNods(leave) {
  const input = createInterface({ input: process.stdin }).on("close", () => {
    process.exitCode = 0;
    leave();
  });
  const lines = input[Symbol.asyncIterator]();
  return () => lines.next();
}
